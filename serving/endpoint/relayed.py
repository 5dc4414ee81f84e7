"""Requests that a relay brings. It knows several replicas, so the endpoint neither holds nor continues them for it.

A relay (`serving.gateway.relay`) shows HEADER. It is told at once when the replica cannot go on, and by a code it can
read; it gets every chunk with its private field; and it hears something every few seconds, from the queue as well, so
that silence tells it that nobody is there. What it has of the answer already stands in the request's private field.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, cast

from serving.endpoint.answering import Event
from serving.endpoint.exchange import Exchange
from serving.endpoint.requests import parse
from serving.endpoint.responses import Told
from serving.errors import CidermillError, RequestRefused, UpstreamFailed, UpstreamUnreachable
from serving.rank.asked import FIELD

HEADER: Final = "x-cidermill-relay"
KEY_HEADER: Final = "x-cidermill-key"
"""Whose request it is, as the gateway says; turns are taken between these."""

NOT_READY: Final = "replica_not_ready"
"""The code of an error: the request never came to mlx-lm."""
FELL: Final = "replica_fell"
"""The code of an error: it did, and the answer broke off, wherever."""

_PROMPT: Final = ": prompt "
_STOPPED: Final = ": stopped by "
ALIVE_SECONDS: Final = 2.0
_ALIVE: Final = ": alive"


def asks(headers: Mapping[str, str]) -> bool:
    """Whether it is a relay that asks."""
    return headers.get(HEADER) == "1"


def split(content: bytes) -> tuple[tuple[int, ...], bytes]:
    """The tokens that a relay has already, and the request without them. Raises RequestRefused."""
    if f'"{FIELD}"'.encode() not in content:
        return (), content
    body = parse(content)
    private = body.pop(FIELD, {})
    emitted = cast("Mapping[str, Any]", private).get("emitted", []) if isinstance(private, dict) else None
    if not isinstance(emitted, list) or not all(map(_is_token, cast("list[Any]", emitted))):
        raise RequestRefused(f"cannot use '{FIELD}': needed {{\"emitted\": [tokens]}}.", FIELD)
    return tuple(cast("list[int]", emitted)), json.dumps(body).encode()


Ended = Callable[[Sequence[int]], Awaitable[str | None]]
"""Which stop sequence ended an answer of these tokens, if one did."""


async def announced(tokens: int, ended: Ended, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """An answer, with comments for the relay: before its first event the length of the prompt, before its last what
    stopped it. What fails before the first event keeps its status.
    """
    said: list[int] = []
    async with aclosing(events):
        async for event in events:
            if tokens:
                yield f"{_PROMPT}{tokens}"
                tokens = 0
            if not isinstance(event, str):
                said += event.get(FIELD, {}).get("tokens", ())
                if any(choice.get("finish_reason") == "stop" for choice in event["choices"]):
                    stop = await ended(said)
                    if stop is not None:
                        yield f"{_STOPPED}{json.dumps(stop)}"
            yield event


def prompt_tokens(comment: str) -> int | None:
    """The length of the prompt, if that is what a comment tells."""
    number = comment.removeprefix(_PROMPT)
    return int(number) if comment.startswith(_PROMPT) and number.isdecimal() else None


def stopped_by(comment: str) -> str | None:
    """The stop sequence that ended the answer, if that is what a comment tells."""
    return str(json.loads(comment.removeprefix(_STOPPED))) if comment.startswith(_STOPPED) else None


def told(fault: CidermillError, as_to_clients: Told) -> Told:
    """How an error is told to a relay."""
    if not isinstance(fault, UpstreamFailed):
        return as_to_clients
    code = NOT_READY if isinstance(fault, UpstreamUnreachable) else FELL
    return replace(as_to_clients, status=503, code=code)


@asynccontextmanager
async def alive(exchange: Exchange, seconds: float = ALIVE_SECONDS) -> AsyncGenerator[None, None]:
    """Comments between whatever else is sent."""
    beating = asyncio.create_task(_beat(exchange, seconds))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})


async def _beat(exchange: Exchange, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await exchange.comment(_ALIVE)


@asynccontextmanager
async def unless(lost: Coroutine[Any, Any, str]) -> AsyncGenerator[None, None]:
    """A wait that is over when `lost` returns: UpstreamUnreachable, with what it says."""
    clock, over = asyncio.get_running_loop().time, False
    watching = asyncio.create_task(lost)

    def end(_: asyncio.Task[str]) -> None:
        if not over:
            waiting.reschedule(clock())

    try:
        async with asyncio.timeout(None) as waiting:
            watching.add_done_callback(end)
            try:
                yield
            finally:
                over = True
    except TimeoutError as error:
        if not watching.done():
            raise
        raise UpstreamUnreachable(watching.result()) from error
    finally:
        watching.cancel()


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
