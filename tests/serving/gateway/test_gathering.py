"""Pieces that come faster than they are taken are told together, and the answer stays the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.endpoint.answering import Event
from serving.endpoint.whole import collected
from serving.errors import UpstreamFailed
from serving.gateway.gathering import gathered, joined


def said(text: str = "", index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {"content": text, **delta}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}


def completed(text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "text_completion",
        "choices": [{"index": 0, "text": text, "finish_reason": None, **more}],
    }


CALL = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}]}
LAST = said(finish="stop")
USAGE = {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}}


async def at_once(events: Sequence[Event], error: Exception | None = None) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event
    if error is not None:
        raise error


async def one_by_one(events: Sequence[Event], taken: asyncio.Event) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event
        await taken.wait()
        taken.clear()


def told(events: Sequence[Event]) -> list[Event]:
    async def all_of() -> list[Event]:
        return [event async for event in gathered(at_once(events))]

    return asyncio.run(all_of())


def test_what_came_meanwhile_is_one_piece():
    begun = said("Ma", role="assistant")

    assert told([begun, said("cs "), said("do.")]) == [said("Macs do.", role="assistant")]
    assert told([completed("Ma"), completed("cs")]) == [completed("Macs")]


def test_who_keeps_up_gets_every_piece_by_itself():
    async def heard() -> list[Event]:
        taken, pieces = asyncio.Event(), list[Event]()
        async for event in gathered(one_by_one([said("Ma"), said("cs")], taken)):
            pieces.append(event)
            taken.set()
        return pieces

    assert asyncio.run(heard()) == [said("Ma"), said("cs")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (said("a"), LAST),
        (said("a"), USAGE),
        (said("a"), ": held"),
        (": held", said("a")),
        (said("a"), said("b", index=1)),
        (said("a"), said("", **CALL)),
        (said("", **CALL), said("", **CALL)),
        (said("", reasoning="hm"), said("a")),
        (completed("a", logprobs={"tokens": ["a"]}), completed("b", logprobs={"tokens": ["b"]})),
        (said("a"), completed("b")),
    ],
)
def test_what_is_not_text_of_one_kind_stays_apart(one: Event, other: Event):
    assert joined(one, other) is None
    assert told([one, other]) == [one, other]


PIECES = st.one_of(
    st.text(max_size=3).map(said),
    st.text(max_size=3).map(lambda text: said("", reasoning=text)),
    st.just(said("", **CALL)),
)


@given(st.lists(PIECES, max_size=12))
def test_the_answer_is_the_same(pieces: list[Event]):
    whole = [said(role="assistant"), *pieces, LAST, USAGE]

    async def made(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
        return await collected(events)

    assert asyncio.run(made(gathered(at_once(whole)))) == asyncio.run(made(at_once(whole)))


def test_what_came_before_a_failure_is_told_before_it():
    pieces = list[Event]()

    async def hear() -> None:
        async for event in gathered(at_once([said("Ma"), said("cs")], UpstreamFailed("it fell"))):
            pieces.append(event)

    with pytest.raises(UpstreamFailed, match="it fell"):
        asyncio.run(hear())

    assert pieces == [said("Macs")]


def test_who_goes_ends_the_answer():
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield said("a")
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def leave() -> None:
        async with aclosing(gathered(endless())) as events:
            await anext(events)

    asyncio.run(leave())

    assert ended.is_set()
