"""Which replica has read the beginning of a request, and what that is worth: values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.affinity import (
    ANSWER_TOKENS,
    NOTHING,
    Beginning,
    Familiar,
    Remembered,
    beginnings,
    cost,
)
from serving.gateway.relay_replicas import choose
from tests.serving.gateway.test_relay_replicas import known

TEXTS = ("Hello", "Hi, what can I do?", "Count to five.", "1, 2, 3, 4, 5", "Thanks.")
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    return {"model": "cider-1", "messages": messages, **more}


def asked(*texts: str, **more: Any) -> tuple[Beginning, ...]:
    return beginnings(chat(*texts, **more))


def remembering(*requests: tuple[Beginning, ...], most: int = 4) -> Remembered:
    remembered = Remembered(most)
    for request in requests:
        remembered.note(request)
    return remembered


def test_a_conversation_that_goes_on_is_known_as_far_as_it_was_asked():
    familiar = remembering(asked(*TEXTS[:3])).familiar(asked(*TEXTS))

    assert familiar == Familiar(asked(*TEXTS[:3])[-1].tokens, returns=True)


def test_another_conversation_with_the_same_system_prompt_is_known_as_far_as_that_but_does_not_return():
    system = "You are of few words. " * 100
    familiar = remembering(asked(system, "Hello")).familiar(asked(system, "Goodbye"))

    assert (familiar.returns, familiar.tokens) == (False, asked(system)[-1].tokens)
    assert familiar.tokens > 500


def test_a_long_message_that_changes_at_its_end_is_known_up_to_there():
    before, after = ("word " * 1000 + end for end in ("one", "two"))
    familiar = remembering(asked(before)).familiar(asked(after))

    assert not familiar.returns
    assert 1000 < familiar.tokens < asked(after)[-1].tokens


@pytest.mark.parametrize(
    "other",
    [
        {"tools": [TOOL]},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"messages": [{"role": "system", "content": "Hello"}]},
    ],
)
def test_what_a_template_puts_first_makes_another_prompt_of_the_same_words(other: dict[str, Any]):
    assert remembering(asked("Hello")).familiar(beginnings(chat("Hello") | other)) == NOTHING


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.7},
        {"max_tokens": 5},
        {"stream": True},
        {"tools": []},
        {"tools": [TOOL], "tool_choice": "none"},
    ],
)
def test_how_an_answer_is_drawn_and_told_makes_no_other_prompt(other: dict[str, Any]):
    assert remembering(asked("Hello")).familiar(beginnings(chat("Hello") | other)).returns


def test_a_text_that_goes_on_anywhere_is_known_but_for_its_last_few_characters():
    text = "Once upon a time there was a Mac. " * 10
    familiar = remembering(beginnings({"prompt": text})).familiar(beginnings({"prompt": f"{text}It was alone."}))

    assert familiar.returns
    assert len(text) // 4 - 16 <= familiar.tokens <= len(text) // 4


@pytest.mark.parametrize("body", [{}, {"prompt": ["a"]}, {"messages": "Hello"}, {"prompt": "short"}, {"messages": []}])
def test_a_body_without_a_beginning_is_familiar_nowhere(body: dict[str, Any]):
    request = beginnings(body)

    assert request == ()
    assert remembering(request).familiar(request) == NOTHING


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_whatever_stands_for_a_message_has_a_digest(message: Any):
    assert beginnings({"messages": [message]})


def test_as_many_are_remembered_as_the_replica_keeps_and_the_oldest_is_forgotten():
    requests = [asked(text) for text in TEXTS]
    remembered = remembering(*requests, most=3)

    assert [remembered.familiar(each).returns for each in requests] == [False, False, True, True, True]
    assert remembered.familiar(requests[0]) == NOTHING


def test_a_conversation_takes_one_place_however_long_it_goes_on():
    turns = [asked(*TEXTS[: 2 * turn + 1]) for turn in range(3)]
    remembered = remembering(asked("Other"), *turns, most=2)

    assert remembered.familiar(asked("Other")).returns
    assert remembered.familiar(turns[-1]).tokens == turns[-1][-1].tokens


def test_a_beginning_that_two_share_is_known_until_both_are_forgotten():
    system = "You are of few words."
    remembered = remembering(asked(system, "One"), asked(system, "Two"), asked("Three"), most=2)

    assert remembered.familiar(asked(system, "One")).tokens == asked(system)[-1].tokens
    remembered.note(asked("Four"))
    assert remembered.familiar(asked(system, "One")) == NOTHING


def test_nothing_is_remembered_of_a_replica_that_keeps_nothing():
    assert remembering(asked("Hello"), most=0).familiar(asked("Hello")) == NOTHING


def test_of_ranks_that_were_started_anew_nothing_is_known():
    remembered = remembering(asked("Hello"))
    remembered.forget()

    assert remembered.familiar(asked("Hello")) == NOTHING


def test_a_conversation_returns_to_a_free_slot_however_idle_another_replica_is():
    home, idle = known("home", in_flight=3), known("idle")
    home.remembered.note(asked("Hello"))

    assert choose([idle, home], request=asked(*TEXTS[:3])) is home


def test_a_short_conversation_leaves_a_replica_without_a_free_slot_and_a_long_one_waits_for_it():
    home, idle = known("home", in_flight=4), known("idle")
    short, long = "Hello", "word " * ANSWER_TOKENS
    for text in (short, long):
        home.remembered.note(asked(text))

    assert choose([home, idle], request=asked(short, "Hi", "Bye")) is idle
    assert choose([home, idle], request=asked(long, "Hi", "Bye")) is home


def test_a_shared_system_prompt_draws_others_only_as_far_as_reading_it_again_costs_more_than_being_slowed_down():
    home, idle = known("home", in_flight=3), known("idle")
    short, long = "You are terse.", "You are terse. " * ANSWER_TOKENS
    for text in (short, long):
        home.remembered.note(asked(text, "Hello"))

    assert choose([home, idle], request=asked(short, "Bye")) is idle
    assert choose([home, idle], request=asked(long, "Bye")) is home


def test_a_request_that_nobody_knows_goes_to_the_least_busy():
    assert choose([known("a", in_flight=2), known("b", in_flight=1)], request=asked("Hello")).served.name == "b"  # type: ignore[union-attr]


def test_a_replica_that_is_not_ready_is_chosen_by_no_conversation():
    home, other = known("home", ready=False), known("other", in_flight=4)
    home.remembered.note(asked("Hello"))

    assert choose([home, other], request=asked("Hello")) is other


@given(st.integers(0, 200), st.integers(1, 64), st.integers(0, 100_000))
def test_more_requests_at_a_replica_never_make_it_the_better_choice(in_flight: int, slots: int, tokens: int):
    fewer, more = (cost(NOTHING, tokens, count, slots) for count in (in_flight, in_flight + 1))

    assert fewer < more
