"""A stream of server-sent events, as mlx-lm writes it and endpoints after it: chunks, comments, `[DONE]` at the end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator

from serving.endpoint.answering import Event
from serving.errors import UpstreamFailed


async def read_events(lines: AsyncIterator[str], speaker: str) -> AsyncGenerator[Event, None]:
    """The events of a body as they come. Raises UpstreamFailed when it ends without `[DONE]`, whatever came before.

    `speaker` is who sends it, for the words of an error.
    """
    async for line in lines:
        if line == "data: [DONE]":
            return
        event = _event(line, speaker)
        if event is not None:
            yield event
    raise UpstreamFailed(f"{speaker} ended its answer before it was whole")


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The lines of a body that comes in any pieces; they end with a line feed, as endpoints write them."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").removesuffix("\r")


def _event(line: str, speaker: str) -> Event | None:
    if line.startswith(":"):
        return line
    if not line.startswith("data: "):
        return None
    try:
        return json.loads(line.removeprefix("data: "))
    except json.JSONDecodeError as error:
        # What it sent is part of somebody's answer, and no business of a log.
        raise UpstreamFailed(f"{speaker} sent something that is no JSON") from error
