"""Clients of the gateway by OpenAI's own library, streaming, one question after another, and none of them twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import httpx
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from tests.faults.asking import Doorway
from tests.faults.load import Asking
from tests.faults.records import Heard, Request, ending


@asynccontextmanager
async def by_openai(doorway: Doorway, deadline: float) -> AsyncIterator[Asking]:
    """A client with the connections that the library keeps for it."""
    async with AsyncOpenAI(base_url=doorway.url, api_key=doorway.key, max_retries=0, timeout=deadline) as client:
        yield partial(_ask, client, deadline)


def going_on(elsewhere: Doorway) -> Callable[[Doorway, float], AbstractAsyncContextManager[Asking]]:
    """Clients that go to another door for good once theirs is closed to them, as when a gateway moves.

    Only a request of which nothing was heard is asked again there.
    """

    @asynccontextmanager
    async def clients(doorway: Doorway, deadline: float) -> AsyncIterator[Asking]:
        async with by_openai(doorway, deadline) as here, by_openai(elsewhere, deadline) as there:
            doors = [here, there]

            async def ask(body: Mapping[str, Any], needed: str) -> Request:
                request = await doors[0](body, needed)
                if len(doors) == 1 or request.ending != "disconnected" or request.pieces:
                    return request
                doors.pop(0)
                return await doors[0](body, needed)

            yield ask

    return clients


async def _ask(client: AsyncOpenAI, deadline: float, body: Mapping[str, Any], needed: str) -> Request:
    heard, pieces, began = Heard(), list[float](), time.monotonic()
    try:
        async with asyncio.timeout(deadline):
            heard.status = 200
            async for chunk in await client.chat.completions.create(**body):
                for choice in chunk.choices:
                    heard.text += choice.delta.content or ""
                    pieces += [time.monotonic()] if choice.delta.content else []
                    heard.finished = heard.finished or choice.finish_reason is not None
    except TimeoutError:
        heard.gave_up = True
    except APIStatusError as error:
        heard.status, heard.error = error.status_code, str(error)
    except (OpenAIError, httpx.HTTPError) as error:  # the latter in the middle of a stream
        heard.disconnected, heard.error = True, f"{type(error).__name__} {error}"
    end = ending(heard, needed)
    said = "" if end == "answered" else f"{heard.error}; its text: {heard.text!r}"[:400]
    return Request("gateway", began, time.monotonic(), end, tuple(pieces), said)


def failures(requests: Sequence[Request]) -> list[str]:
    """What became of every request that was not answered, each way of failing once."""
    return list(dict.fromkeys(f"{each.ending}: {each.said}" for each in requests if each.ending != "answered"))
