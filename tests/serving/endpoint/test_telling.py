from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.endpoint.telling import Chunk, Retelling, Told, may_continue
from serving.endpoint.whole import Whole
from serving.errors import AnswerDiffers
from tests.serving.speaking import USAGE, chat, made_of, text


def call(index: int, name: str, arguments: str, identity: str = "t") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": identity, "type": "function", "function": function}


def hear(told: Told, *chunks: Chunk) -> list[Chunk]:
    retelling = Retelling(told)
    heard = [retelling.hear(copy.deepcopy(chunk)) for chunk in chunks]
    return [chunk for chunk in heard if chunk is not None]


def test_a_first_telling_passes_without_the_private_field():
    told = Told()

    assert hear(told, made_of(chat(content="a"), 1)) == [chat(content="a")]
    assert told.tokens == [1]


def test_a_chunk_that_begins_before_and_ends_after_is_cut():
    told = Told()
    hear(told, made_of(chat(content="Hel"), 1, 2))

    assert hear(told, made_of(chat(content="Hello"), 1, 2, 3)) == [chat(content="lo")]
    assert told.tokens == [1, 2, 3]


def test_identity_and_time_stay_those_of_the_first_chunk():
    told = Told()
    hear(told, made_of(chat(content="a"), 1))

    (chunk, usage) = hear(told, made_of(chat("stop", content="a") | {"id": "c2", "created": 9}, 1, 2), USAGE)
    assert (chunk["id"], chunk["created"]) == ("c1", 1)
    assert (usage["id"], usage["usage"]) == ("c1", USAGE["usage"])


def test_a_completion_is_continued_as_well():
    told = Told()
    hear(told, made_of(text("ab"), 1))

    assert hear(told, made_of(text("abc", "stop"), 1, 2)) == [text("c", "stop")]


def test_an_answer_whose_call_could_not_be_read_does_not_end_with_a_call():
    told = Told()

    assert hear(told, made_of(chat("tool_calls"), 1, 2)) == [chat("stop")]
    assert told.finish == "stop"


def test_an_answer_ends_with_the_call_that_was_told_before():
    told = Told()
    called = chat(tool_calls=[call(0, "f", "{}")])

    assert hear(told, made_of(called, 1), made_of(chat("tool_calls"), 2)) == [called, chat("tool_calls")]


def test_a_call_that_was_told_is_not_told_again_whatever_its_new_identity():
    told = Told()
    hear(told, made_of(chat(tool_calls=[call(0, "f", "{}")]), 1, 2))

    again = [call(0, "f", "{}", "other"), call(1, "g", "{}", "u")]
    assert hear(told, made_of(chat("tool_calls", tool_calls=again), 1, 2, 3)) == [
        chat("tool_calls", tool_calls=[call(1, "g", "{}", "u")])
    ]


def test_a_call_whose_arguments_were_told_in_part_goes_on():
    told = Told()
    hear(told, made_of(chat(tool_calls=[call(0, "f", '{"a"')]), 1))

    (chunk,) = hear(told, made_of(chat(tool_calls=[call(0, "f", '{"a": 1}')]), 1, 2))
    assert chunk["choices"][0]["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": ": 1}"}}]


@pytest.mark.parametrize(
    "again",
    [
        made_of(chat(content="He said"), 1, 2),
        made_of(chat(content="Hi"), 1),
        made_of(chat(content="Hello", reasoning="hm"), 7, 2),
        made_of(chat("stop", content="He"), 1, 2),
        made_of(chat(reasoning="hm"), 1, 2),
        USAGE,
    ],
)
def test_an_answer_that_is_told_differently_is_no_continuation(again: Chunk):
    told = Told()
    hear(told, made_of(chat(content="Hello"), 1, 2))

    with pytest.raises(AnswerDiffers) as differs:
        hear(told, again)
    assert differs.value.code == "continuation_differs"


def test_another_call_is_no_continuation():
    told = Told()
    hear(told, made_of(chat(tool_calls=[call(0, "f", "{}")]), 1))

    with pytest.raises(AnswerDiffers, match="another tool call"):
        hear(told, made_of(chat(tool_calls=[call(0, "g", "{}")]), 1))


def test_only_what_came_with_its_tokens_may_be_continued():
    told = Told()
    hear(told, made_of(chat(content="a"), 1))
    assert may_continue(told)
    hear(told, made_of(chat(content="a"), 1), chat(content="b"))

    assert not may_continue(told)


def test_nothing_ends_before_its_end():
    told = Told()
    assert told.end(3, 5) is None
    hear(told, made_of(chat(content="a"), 1, 2))

    assert told.end(3, 5) is None


def test_an_answer_of_full_length_is_ended_from_what_is_known():
    told = Told()
    hear(told, made_of(chat(content="a"), 1, 2))

    ending, usage = told.end(3, 2) or ()
    assert ending == chat("length")
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert told.end(None, 2) == [chat("length")]


def test_a_completion_of_full_length_is_ended_as_one():
    told = Told()
    hear(told, made_of(text("a"), 1))

    assert told.end(None, 1) == [text("", "length")]


def test_an_answer_that_has_everything_needs_nothing():
    told = Told()
    hear(told, made_of(chat("stop", content="a"), 1), USAGE)

    assert told.end(3, 5) == []


# An answer as it is generated: for each token what it adds, which may be nothing.
words = st.text(alphabet="abc é\n", max_size=3)
pieces = st.one_of(
    st.tuples(st.just("content"), words),
    st.tuples(st.just("reasoning"), words),
    st.tuples(st.just("call"), st.sampled_from(("f", "g"))),
)
answers = st.lists(pieces, min_size=1, max_size=25)


def telling(answer: Sequence[tuple[str, str]], cuts: set[int], identity: str) -> list[Chunk]:
    """An answer in chunks that end at the cuts, as mlx-lm would tell it."""
    chunks: list[Chunk] = []
    delta: dict[str, Any] = {}
    tokens: list[int] = []
    calls = 0
    for token, (kind, piece) in enumerate(answer):
        tokens.append(token)
        if kind == "call":
            new = call(calls, piece, f'{{"n": {token}}}', f"{identity}-{calls}")
            delta["tool_calls"] = [*delta.get("tool_calls", ()), new]
            calls += 1
        elif piece:
            delta[kind] = delta.get(kind, "") + piece
        if token in cuts and delta:
            chunks.append(made_of(chat(**delta) | {"id": identity}, *tokens))
            delta, tokens = {}, []
    chunks.append(made_of(chat("stop", **delta) | {"id": identity}, *tokens))
    return [*chunks, USAGE | {"id": identity}]


def whole(chunks: Sequence[Chunk]) -> dict[str, Any]:
    collected = Whole()
    for chunk in chunks:
        collected.add({name: value for name, value in chunk.items() if name != "cidermill"})
    return collected.answer()


@given(answers, st.data())
def test_however_often_it_is_told_in_whatever_pieces_a_client_gets_each_word_once(
    answer: list[tuple[str, str]], data: st.DataObject
):
    cuts = st.sets(st.integers(0, len(answer) - 1))
    told, passed = Told(), list[Chunk]()
    for attempt in range(data.draw(st.integers(0, 4))):
        chunks = telling(answer, data.draw(cuts), f"c{attempt}")
        passed += hear(told, *chunks[: data.draw(st.integers(0, len(chunks) - 2))])
    passed += hear(told, *telling(answer, data.draw(cuts), "last"))
    needed = whole(telling(answer, set(), passed[0]["id"]))
    seen = whole(passed)
    for each in (needed, seen):
        for made in each["choices"][0]["message"].get("tool_calls", ()):
            made.pop("id")

    assert seen == needed
    assert {chunk["id"] for chunk in passed} == {passed[0]["id"]}
    assert told.tokens == list(range(len(answer)))
    assert not any("cidermill" in chunk for chunk in passed)
    assert [chunk for chunk in passed[:-2] if set(chunk["choices"][0]["delta"]) == {"role"}] == []


@given(answers, answers, st.data())
def test_another_answer_is_never_mixed_into_the_first(
    answer: list[tuple[str, str]], other: list[tuple[str, str]], data: st.DataObject
):
    cuts = st.sets(st.integers(0, 24))
    told = Told()
    first = telling(answer, data.draw(cuts), "c")
    passed = hear(told, *first[: data.draw(st.integers(1, len(first) - 1))])
    before = whole(passed)["choices"][0]["message"]
    second = telling(other, data.draw(cuts), "d")
    try:
        passed += hear(told, *second)
    except AnswerDiffers:
        return
    message, needed = whole(passed)["choices"][0]["message"], whole(second)["choices"][0]["message"]

    assert (message["content"], message.get("reasoning")) == (needed["content"], needed.get("reasoning"))
    assert (message["content"] or "").startswith(before["content"] or "")
