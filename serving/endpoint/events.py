"""A stream of server-sent events, as mlx-lm writes it and endpoints after it: chunks, comments, `[DONE]` at the end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import httpx

from serving.endpoint.answering import Event
from serving.errors import UpstreamFailed


async def read_events(response: httpx.Response, speaker: str) -> AsyncGenerator[Event, None]:
    """The events of a response as they come. Raises UpstreamFailed when it ends without `[DONE]`, whatever came before.

    `speaker` is who sends it, for the words of an error.
    """
    async for line in response.aiter_lines():
        if line == "data: [DONE]":
            return
        event = _event(line, speaker)
        if event is not None:
            yield event
    raise UpstreamFailed(f"{speaker} ended its answer before it was whole")


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
