"""Pieces of an answer that came while the last one was on its way, told as one.

LiteLLM 1.109.1 spends about two milliseconds on a chunk, however long it is, and answers all streams in one thread: a
few hundred tokens a second, from all replicas together, and it falls behind. What it could not take yet is one chunk
when it can. While it keeps up every piece is told at once and alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from serving.endpoint.answering import Event
from serving.endpoint.telling import Chunk

_WAITING: Final = 256
"""Pieces of one answer; who takes none of them for so long stops the answer."""


class _Over:
    """The end of an answer, and what ended it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


async def gathered(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The same answer in fewer pieces, when they come faster than they are taken. It ends as `events` does."""
    waiting = asyncio.Queue[Event | _Over](_WAITING)
    taking = asyncio.create_task(_take(events, waiting))
    try:
        last: Event | _Over = await waiting.get()
        while not isinstance(last, _Over):
            following = None if waiting.empty() else waiting.get_nowait()
            both = None if following is None else joined(last, following)
            if both is None:
                yield last
            last = both or following or await waiting.get()
        if last.error is not None:
            raise last.error
    finally:
        taking.cancel()
        await asyncio.wait({taking})


async def _take(events: AsyncGenerator[Event, None], waiting: asyncio.Queue[Event | _Over]) -> None:
    over = _Over()
    async with aclosing(events):
        try:
            async for event in events:
                await waiting.put(event)
        except Exception as error:  # noqa: BLE001  # raised again by who takes the pieces
            over = _Over(error)
    await waiting.put(over)


def joined(one: Event, other: Event | _Over) -> Chunk | None:
    """Two chunks that follow each other as one; None where anything but text of one kind would be joined."""
    if isinstance(one, str) or isinstance(other, (str, _Over)):
        return None
    before, after = _only_text(one), _only_text(other)
    if before is None or after is None or before["index"] != after["index"]:
        return None
    if "text" in before and "text" in after:
        return {**one, "choices": [{**before, "text": before["text"] + after["text"]}]}
    if "delta" in before and "delta" in after:
        delta = _texts(before["delta"], after["delta"])
        return None if delta is None else {**one, "choices": [{**before, "delta": delta}]}
    return None


def _only_text(chunk: Chunk) -> Mapping[str, Any] | None:
    """The choice of a chunk that goes on with it and weighs nothing; tool calls are left as they come."""
    if len(chunk["choices"]) != 1 or chunk.get("usage"):
        return None
    (choice,) = chunk["choices"]
    if choice.get("finish_reason") is not None or choice.get("logprobs") is not None:
        return None
    return choice


def _texts(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    said = {name for delta in (before, after) for name, value in delta.items() if value and name != "role"}
    if not said <= {"content"} and not said <= {"reasoning"}:
        return None
    return {**after, **before, **{name: (before.get(name) or "") + (after.get(name) or "") for name in said}}
