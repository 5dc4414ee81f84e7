"""Clients of the gateway by OpenAI's own library, streaming, one question after another, and none of them twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import httpx
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from tests.faults.asking import QUESTIONS, Doorway, greedy
from tests.faults.records import Heard, Request, ending

PAUSE_AFTER_FAILURE_SECONDS = 0.5


@dataclass
class Load:
    """The clients, and what they have seen so far."""

    requests: list[Request] = field(default_factory=list)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[asyncio.Task[None]] = field(default_factory=list)

    async def finish(self) -> tuple[Request, ...]:
        """Let every client have the answer it waits for, and ask nothing more; all that was asked."""
        self.leaving.set()
        await asyncio.gather(*self.clients)
        return tuple(self.requests)


@asynccontextmanager
async def loading(door: Doorway, needed: Mapping[str, str], clients: int, deadline: float) -> AsyncIterator[Load]:
    """So many clients, each with the connections that the library keeps for it."""
    load = Load()
    try:
        for number in range(clients):
            load.clients.append(asyncio.create_task(_client(load, door, number, needed, deadline)))
        yield load
    finally:
        for client in load.clients:
            client.cancel()
        await asyncio.gather(*load.clients, return_exceptions=True)


async def _client(load: Load, door: Doorway, number: int, needed: Mapping[str, str], deadline: float) -> None:
    questions = islice(cycle(QUESTIONS), number, None)
    async with AsyncOpenAI(base_url=door.url, api_key=door.key, max_retries=0, timeout=deadline) as client:
        while not load.leaving.is_set():
            question = next(questions)
            request = await _ask(client, greedy(question), needed[question], deadline)
            load.requests.append(request)
            if request.ending != "answered":
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)


async def _ask(client: AsyncOpenAI, body: dict[str, Any], needed: str, deadline: float) -> Request:
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
