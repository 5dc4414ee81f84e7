"""Looking at a replica all the time, from outside: is it ready, what does it say, and does it answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf

import httpx

from serving.endpoint.relayed import KEY_HEADER
from tests.faults.asking import PING, ask, greedy
from tests.faults.records import Look, Request, Word
from tests.faults.scene import REPLICAS, Scene

PERIOD_SECONDS = 0.1
ANSWERS_WITHIN_SECONDS = 2.0
GATEWAY_ANSWERS_WITHIN_SECONDS = 5.0
"""LiteLLM takes connections long before it answers on them."""


@dataclass
class Watch:
    """What was seen so far."""

    readies: list[Look] = field(default_factory=list)
    gateway: list[Look] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    probes: list[Request] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    loops: list[asyncio.Task[None]] = field(default_factory=list)

    async def finish(self) -> None:
        """Look no longer; a probe that is under way is written down as it is."""
        for loop in self.loops:
            loop.cancel()
        await asyncio.gather(*self.loops, return_exceptions=True)

    def tell(self) -> None:
        """Wake up who waits for something to be seen."""
        self.news.set()
        self.news = asyncio.Event()


@asynccontextmanager
async def watching(scene: Scene, replica: str, pong: str, deadline: float) -> AsyncIterator[Watch]:
    """Watch one replica, and the gateway, until the end."""
    watch, agent, token = Watch(), scene.agent(REPLICAS[replica][0]), scene.token()
    headers, gateway = {"Authorization": f"Bearer {token}"}, scene.gateway()
    options = {"trust_env": False, "limits": httpx.Limits(max_keepalive_connections=0)}
    async with (
        httpx.AsyncClient(base_url=agent, headers=headers, timeout=ANSWERS_WITHIN_SECONDS, **options) as http,
        gateway.client(timeout=GATEWAY_ANSWERS_WITHIN_SECONDS) as front,
        # Under a key of its own: behind the other clients of one, it would tell how long their answers are.
        scene.endpoint(replica).client(headers={KEY_HEADER: "watching"}) as door,
    ):
        watch.loops = [
            asyncio.create_task(_look(http, "/ready", watch.readies, watch)),
            asyncio.create_task(_look(front, "/models", watch.gateway, watch)),
            asyncio.create_task(_listen(http, watch)),
            asyncio.create_task(_probe(door, pong, deadline, watch)),
        ]
        try:
            yield watch
        finally:
            await watch.finish()


async def _look(http: httpx.AsyncClient, path: str, looks: list[Look], watch: Watch) -> None:
    while True:
        asked = time.monotonic()
        try:
            response = await http.get(path)
            answer = "yes" if response.status_code == 200 else "no"
        except httpx.TransportError:
            answer = "silence"
        looks.append(Look(asked, time.monotonic(), answer))
        watch.tell()
        await asyncio.sleep(PERIOD_SECONDS)


async def _listen(http: httpx.AsyncClient, watch: Watch) -> None:
    seen = inf
    while True:
        since, seen = seen, time.monotonic()
        try:
            told = (await http.get("/state")).json()["replica"]
            word = Word(time.monotonic(), told["state"], told["reason"], since)
        except httpx.TransportError as error:
            word = Word(time.monotonic(), "silent", type(error).__name__, since)
        before = watch.words[-1] if watch.words else None
        if before is None or (before.state, before.reason) != (word.state, word.reason):
            watch.words.append(word)
            watch.tell()
        await asyncio.sleep(PERIOD_SECONDS)


async def _probe(http: httpx.AsyncClient, pong: str, deadline: float, watch: Watch) -> None:
    while True:
        began = time.monotonic()
        try:
            watch.probes.append(await ask(http, "endpoint", greedy(PING), pong, deadline))
        except asyncio.CancelledError:
            watch.probes.append(Request("endpoint", began, time.monotonic(), "left"))
            raise
        await asyncio.sleep(PERIOD_SECONDS)
