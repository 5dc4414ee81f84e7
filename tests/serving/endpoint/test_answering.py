from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from serving.endpoint.answering import HELD, Course, Event, Terms, answer
from serving.endpoint.telling import Told
from serving.errors import (
    AnswerDiffers,
    FormGivenUp,
    ReplicaUnavailable,
    RequestRefused,
    UpstreamFailed,
    UpstreamUnreachable,
)
from serving.rank.asked import FIELD, Asked
from tests.serving.speaking import USAGE, chat, made_of

FELL = UpstreamFailed("it fell")
UNREACHED = UpstreamUnreachable("nobody there")
HE, LLO, STOP = made_of(chat(content="He"), 1), made_of(chat(content="llo"), 2), made_of(chat("stop"), 3)


class Source:
    """Attempts as they are planned, one after another; an exception is raised where it stands."""

    def __init__(self, *attempts: Sequence[Event | Exception]) -> None:
        self._attempts = list(attempts)
        self.asked: list[Asked] = []
        self.closed = 0
        self.course = Course()

    async def attempt(self, asked: Asked) -> AsyncGenerator[Event, None]:
        self.asked.append(asked)
        try:
            for event in self._attempts.pop(0):
                if isinstance(event, Exception):
                    raise event
                yield dict(event) if isinstance(event, dict) else event
        finally:
            self.closed += 1

    def told(self, ready: Callable[[], asyncio.Future[None]] | None = None, terms: Terms | None = None) -> list[Event]:
        async def nobody_waits() -> None:
            pass

        async def collect() -> list[Event]:
            events = answer(Told(), self.attempt, ready or nobody_waits, terms or Terms(), self.course)
            return [event async for event in events]

        return asyncio.run(collect())


def test_an_answer_without_a_fault_is_passed_on():
    source = Source([": keepalive 1/2", HE, LLO, STOP, USAGE])

    assert source.told() == [": keepalive 1/2", chat(content="He"), chat(content="llo"), chat("stop"), USAGE]
    assert (source.course.replayed, source.course.continued, source.closed) == (0, 0, 1)


def test_what_has_told_nothing_is_asked_again_as_it_was():
    source = Source([": keepalive 1/2", FELL], [HE, LLO, STOP, USAGE])

    assert source.told()[1:] == [chat(content="He"), chat(content="llo"), chat("stop"), USAGE]
    assert source.asked == [Asked(), Asked()]
    assert (source.course.replayed, source.course.continued) == (1, 0)


def test_what_has_begun_is_asked_to_go_on_from_its_tokens():
    source = Source([HE, FELL], [HE, FELL], [HE, LLO, FELL], [HE, LLO, STOP, USAGE])

    assert source.told(terms=Terms(grammar="g")) == [chat(content="He"), chat(content="llo"), chat("stop"), USAGE]
    assert source.asked == [Asked(tokens, "g") for tokens in ((), (1,), (1,), (1, 2))]
    assert source.course.continued == 3


def test_a_request_is_given_up_after_too_many_attempts_that_brought_nothing():
    source = Source([HE, FELL], [FELL], [HE, FELL], [FELL])

    with pytest.raises(UpstreamFailed, match="it fell"):
        source.told()
    assert len(source.asked) == 4


def test_progress_makes_up_for_attempts_that_brought_nothing():
    source = Source([FELL], [FELL], [HE, FELL], [FELL], [FELL], [HE, LLO, STOP, USAGE])

    assert len(source.told()) == 4


def test_attempts_that_reached_nobody_do_not_count():
    source = Source(*[[UNREACHED]] * 9, [HE, STOP])

    assert source.told() == [chat(content="He"), chat("stop")]


def test_an_end_without_a_finish_is_a_break():
    source = Source([HE], [HE, STOP])

    assert source.told() == [chat(content="He"), chat("stop")]


def test_text_whose_tokens_are_unknown_is_not_continued():
    source = Source([chat(content="He"), FELL])

    with pytest.raises(AnswerDiffers) as differs:
        source.told()
    assert differs.value.code == "cannot_continue"


def test_an_answer_of_full_length_is_not_asked_again_for_its_last_words():
    source = Source([HE, LLO, FELL])

    *_, ending, usage = source.told(terms=Terms(most_tokens=2, prompt_tokens=5))
    assert ending == chat("length")
    assert isinstance(usage, dict)
    assert usage["usage"]["total_tokens"] == 7
    assert len(source.asked) == 1


def test_an_answer_that_has_finished_is_not_asked_again_for_its_usage():
    source = Source([HE, STOP, FELL])

    assert source.told() == [chat(content="He"), chat("stop")]


def test_a_refusal_is_final():
    with pytest.raises(RequestRefused):
        Source([RequestRefused("no")]).told()


def test_a_continuation_that_is_refused_is_no_fault_of_the_request():
    with pytest.raises(AnswerDiffers, match="it has ended"):
        Source([HE, FELL], [RequestRefused("it has ended")]).told()


def test_an_answer_that_has_begun_is_kept_open_while_it_is_held():
    async def play() -> list[Event]:
        source, may_go_on = Source([HE, FELL], [HE, STOP]), asyncio.Event()
        waits = 0

        async def ready() -> None:
            nonlocal waits
            waits += 1
            if waits > 1:
                await may_go_on.wait()

        events: list[Event] = []
        async for event in answer(Told(), source.attempt, ready, Terms(comment_seconds=0.001), Course()):
            events.append(event)
            if events.count(HELD) == 3:
                may_go_on.set()
        return events

    first, *comments, last = asyncio.run(play())

    assert (first, last) == (chat(content="He"), chat("stop"))
    assert set(map(str, comments)) == {HELD}
    assert len(comments) >= 3


def test_an_answer_that_has_not_begun_stays_silent_while_it_is_held():
    async def play() -> list[Event]:
        async def ready() -> None:
            await asyncio.sleep(0.01)

        terms = Terms(comment_seconds=0.001)
        return [event async for event in answer(Told(), Source([HE, STOP]).attempt, ready, terms, Course())]

    assert HELD not in asyncio.run(play())


def test_nobody_is_asked_when_waiting_was_in_vain():
    source = Source([HE, STOP])

    async def in_vain() -> None:
        raise ReplicaUnavailable("broken")

    with pytest.raises(ReplicaUnavailable):
        source.told(in_vain)
    assert source.asked == []


def test_who_stops_listening_ends_the_attempt_and_the_waiting():
    async def play() -> None:
        source, waiting = Source([HE, FELL]), asyncio.Event()
        waits = 0

        async def ready() -> None:
            nonlocal waits
            waits += 1
            if waits > 1:
                try:
                    await asyncio.Event().wait()
                finally:
                    waiting.set()

        events = answer(Told(), source.attempt, ready, Terms(comment_seconds=0.001), Course())
        while await anext(events) != HELD:
            pass
        await events.aclose()
        async with asyncio.timeout(5):
            await waiting.wait()

        assert source.closed == 1

    asyncio.run(play())


@pytest.mark.parametrize("before", [[], [HE]], ids=["at once", "in the middle"])
def test_an_answer_that_lost_its_form_is_an_error_and_no_whole_answer_and_is_not_asked_again(before: list[Event]):
    given_up = {**chat("stop"), FIELD: {"tokens": [3], "given_up": "Parser Error:\n too complex."}}
    source = Source([*before, given_up, USAGE])

    with pytest.raises(FormGivenUp) as lost:
        source.told()
    assert "llguidance gave up in the middle of it (Parser Error: too complex)." in str(lost.value)
    assert (lost.value.status, lost.value.code, len(source.asked)) == (400, "form_given_up", 1)
