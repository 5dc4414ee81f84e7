"""Clients that ask one question after another, each as soon as it has the answer to the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from tests.faults.asking import PING, QUESTIONS, Doorway, answer, ask, greedy
from tests.faults.records import Request

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


Asking = Callable[[Mapping[str, Any], str], Awaitable[Request]]
"""One client's way to ask: what, and the right answer to it."""


@asynccontextmanager
async def plainly(doorway: Doorway, deadline: float) -> AsyncIterator[Asking]:
    """A client that reads the stream itself, over a connection of its own for each request."""
    async with doorway.client() as http:
        yield lambda body, needed: ask(http, doorway.door, body, needed, deadline)


@asynccontextmanager
async def loading(
    doors: Sequence[Doorway],
    needed: Mapping[str, str],
    clients: int,
    deadline: float,
    asking: Callable[[Doorway, float], AbstractAsyncContextManager[Asking]] = plainly,
) -> AsyncIterator[Load]:
    """So many clients, one door after another."""
    load = Load()
    try:
        for number, door in enumerate(islice(cycle(doors), clients)):
            load.clients.append(asyncio.create_task(_client(load, asking(door, deadline), number, needed)))
        yield load
    finally:
        for client in load.clients:
            client.cancel()
        await asyncio.gather(*load.clients, return_exceptions=True)


async def answers(doors: Sequence[Doorway], deadline: float) -> dict[str, str]:
    """The right answer to every question, undisturbed and the same at each door. Raises RuntimeError."""
    found: dict[str, set[str]] = {question: set() for question in (*QUESTIONS, PING)}
    for door in doors:
        async with door.client() as http:
            for question, said in found.items():
                said.add(await answer(http, greedy(question), deadline))
    different = {question: said for question, said in found.items() if len(said) > 1}
    if different:
        raise RuntimeError(f"cannot tell right answers from altered ones: undisturbed they differ: {different}")
    return {question: said.pop() for question, said in found.items()}


async def _client(
    load: Load, asking: AbstractAsyncContextManager[Asking], number: int, needed: Mapping[str, str]
) -> None:
    # Each begins with another question, so that not all of them are at the same point of the same answer.
    questions = islice(cycle(QUESTIONS), number, None)
    async with asking as ask_it:
        while not load.leaving.is_set():
            question = next(questions)
            request = await ask_it(greedy(question), needed[question])
            load.requests.append(request)
            if request.ending not in ("answered", "altered"):
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
