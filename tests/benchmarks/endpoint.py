"""What the endpoint costs: tokens per second and time to the first, through it and past it.

    uv run --all-groups python -m tests.benchmarks.endpoint [--rounds 60] [--twins 160]

One agent with one rank of the test weights on loopback; the same clients ask mlx-lm's server directly and through the
endpoint. It ends with 1 when a bound is missed, and takes about twenty minutes.

On a Mac the rank computes on the GPU, and processors are plenty. Where it computes on a processor (Linux), it gets one
of its own, and endpoint and clients get the others: each time one of them woke on the rank's, that would cost a part of
a token, and measure how few processors there are.

Tokens per second are those of a turn, in which each client gets one answer of a given length, direct and through in an
order that changes; two turns make a ratio. Such machines run faster and slower from one second to the next, so turns
are short and many. Where a hypervisor takes processors away, that decides a turn more than all that is measured: pairs
are measured until enough are undisturbed, and the least disturbed ones count.

mlx-lm 0.32.2 looks for new requests every half second while it decodes. So a first token comes up to half a second
later or sooner by when it was asked for, which buries milliseconds. Therefore one client of a turn begins, and the
others follow while it is decoded, so that one look lets all of them in. And first tokens are those of twins: two
clients ask in the same moment, one directly and one through the endpoint, while others keep the rank decoding, and wait
for the same look, but for the few between whom it falls. A client that is alone has nobody to wait for, and asks in
turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from tests.serving.alone import TOKEN, Ports, agent

LEAST_SPEED, MOST_MILLISECONDS = 0.97, 5.0
CLIENTS = (1, 4, 8)
PORTS = Ports(agent=17540, rank=17541)
WHOLE_TOKENS, TURN_TOKENS, SHORT_TOKENS = 200, 64, 24
"""The weights know the answer by heart, and end it before the first of these and after the others."""

SPREAD_SECONDS = 1.0
DISTURBED = 0.02
"""Of one processor's time."""

OTHERS = 2
"""Of the clients, who keep the rank decoding while twins ask; two, as one pauses between its answers."""

ATTEMPTS = 3
"""Times as many pairs of turns as are needed, at most."""

_chance = Random(7)  # noqa: S311 - no secret


@dataclass(frozen=True)
class Door:
    """Where to ask, and under which name."""

    client: httpx.AsyncClient
    model: str

    async def answer(self, most_tokens: int) -> AsyncGenerator[Mapping[str, Any], None]:
        """The chunks of one answer."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Count to thirty."}],
            "max_tokens": most_tokens,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    async def whole(self, most_tokens: int, begun: asyncio.Event | None = None) -> int:
        """How many tokens an answer had that is read to its end; `begun` is set at its first text."""
        tokens = 0
        async with aclosing(self.answer(most_tokens)) as chunks:
            async for chunk in chunks:
                if begun is not None and text(chunk):
                    begun.set()
                tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        return tokens

    async def first(self) -> float:
        """Milliseconds to the first text of an answer, which is read to its end."""
        began, first = perf_counter(), 0.0
        async with aclosing(self.answer(SHORT_TOKENS)) as chunks:
            async for chunk in chunks:
                first = first or (perf_counter() - began if text(chunk) else 0.0)
        return first * 1000


@dataclass(frozen=True)
class Doors:
    """The two ways to the same rank."""

    direct: Door
    through: Door

    def in_turn(self, turn: int) -> tuple[Door, Door]:
        """Which is first changes."""
        return (self.direct, self.through) if turn % 2 else (self.through, self.direct)


@dataclass(frozen=True)
class Turn:
    """What came while each client got its answer, and how much of a processor the hypervisor took meanwhile."""

    tokens_per_second: float
    stolen: float = 0.0


@dataclass(frozen=True)
class Pair:
    """Two turns, one after the other."""

    direct: Turn
    through: Turn

    @property
    def ratio(self) -> float:
        """Speed through the endpoint, as a part of that past it."""
        return self.through.tokens_per_second / self.direct.tokens_per_second

    @property
    def stolen(self) -> float:
        """Of the turn that was disturbed more."""
        return max(self.direct.stolen, self.through.stolen)


@dataclass(frozen=True)
class Cost:
    """What so many clients saw."""

    pairs: Sequence[Pair]
    later: Sequence[float]
    """Milliseconds by which the first token came later through the endpoint, of each two that asked together."""

    @property
    def speed(self) -> float:
        """The ratio of tokens per second."""
        return median(pair.ratio for pair in self.pairs)

    @property
    def is_within(self) -> bool:
        """Whether the endpoint costs no more than it may."""
        return self.speed >= LEAST_SPEED and median(self.later) <= MOST_MILLISECONDS


@dataclass(frozen=True)
class _Processors:
    rank: set[int]
    others: set[int]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.endpoint")
    parser.add_argument("--rounds", type=int, default=60, help="pairs of turns")
    parser.add_argument("--twins", type=int, default=160)
    given = parser.parse_args(arguments)
    processors = _processors()
    if processors is None:
        print("There are not two processors that can be told apart: the rank shares its own with endpoint and clients.")
    else:
        os.sched_setaffinity(0, processors.others)  # those that are started from here inherit it
    with tempfile.TemporaryDirectory() as directory, agent(Path(directory), PORTS) as pid:
        if processors is not None:
            _confine(psutil.Process(pid).children()[0], processors.rank)
        costs = asyncio.run(measured(given.rounds, given.twins))
    Console(width=120).print(table(costs))
    return 0 if all(cost.is_within for cost in costs.values()) else 1


def _processors() -> _Processors | None:
    if not hasattr(os, "sched_getaffinity"):  # macOS keeps that to itself
        return None
    first, *others = sorted(os.sched_getaffinity(0))
    return _Processors({first}, set(others)) if others else None


def _confine(process: psutil.Process, processors: set[int]) -> None:
    # Each thread by itself; those that they start inherit it.
    for thread in process.threads():
        os.sched_setaffinity(thread.id, processors)


async def measured(rounds: int, number: int) -> dict[int, Cost]:
    """What each number of clients sees."""
    async with _client(PORTS.rank) as past, _client(PORTS.agent) as through:
        doors = Doors(Door(past, "default_model"), Door(through, "cider-1"))
        costs: dict[int, Cost] = {}
        for clients in CLIENTS:
            print(f"measuring {clients} at once", file=sys.stderr)
            costs[clients] = Cost(await turns(doors, clients, rounds), await twins(doors, clients, number))
        return costs


def _client(port: int) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120)


async def turns(doors: Doors, clients: int, rounds: int) -> list[Pair]:
    """The least disturbed pairs of turns."""
    for door in doors.in_turn(0):
        await turn(door, clients)  # the first warm up
    pairs: list[Pair] = []
    while len(pairs) < rounds * ATTEMPTS and sum(pair.stolen <= DISTURBED for pair in pairs) < rounds:
        seen = {door: await turn(door, clients) for door in doors.in_turn(len(pairs))}
        pairs.append(Pair(seen[doors.direct], seen[doors.through]))
    return sorted(pairs, key=lambda pair: pair.stolen)[:rounds]


async def turn(door: Door, clients: int) -> Turn:
    """One answer for each client; the others follow when the first's has begun."""
    begun, stolen, began = asyncio.Event(), _stolen_seconds(), perf_counter()
    answers = [door.whole(TURN_TOKENS, begun), *(_following(door, begun) for _ in range(clients - 1))]
    tokens = sum(await asyncio.gather(*answers))
    seconds = perf_counter() - began
    return Turn(tokens / seconds, (_stolen_seconds() - stolen) / seconds)


async def _following(door: Door, begun: asyncio.Event) -> int:
    await begun.wait()
    return await door.whole(TURN_TOKENS)


def _stolen_seconds() -> float:
    return getattr(psutil.cpu_times(), "steal", 0.0)  # Linux tells


async def twins(doors: Doors, clients: int, number: int) -> list[float]:
    """How much later the first token comes through the endpoint, many times over."""
    if clients == 1:
        return await _couple(doors, _one_by_one, number)
    over, couples = asyncio.Event(), (clients - OTHERS) // 2
    async with asyncio.TaskGroup() as group:
        for _ in range(OTHERS):
            group.create_task(_keep_asking(doors.direct, over))
        later = await asyncio.gather(*(_couple(doors, _together, number // couples) for _ in range(couples)))
        over.set()
    return [each for couple in later for each in couple]


async def _keep_asking(door: Door, over: asyncio.Event) -> None:
    await asyncio.sleep(_chance.uniform(0, SPREAD_SECONDS))
    while not over.is_set():
        await door.whole(WHOLE_TOKENS)


async def _couple(doors: Doors, ask: Callable[..., Any], number: int) -> list[float]:
    later: list[float] = []
    for time in range(number + 1):
        await asyncio.sleep(_chance.uniform(0, SPREAD_SECONDS))
        order = doors.in_turn(time)
        first = dict(zip(order, await ask(*order), strict=True))
        later.append(first[doors.through] - first[doors.direct])
    return later[1:]  # the first warms up


async def _together(*doors: Door) -> list[float]:
    return await asyncio.gather(*(door.first() for door in doors))


async def _one_by_one(*doors: Door) -> list[float]:
    return [await door.first() for door in doors]


def text(chunk: Mapping[str, Any]) -> str:
    """What a chunk adds to the answer."""
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def table(costs: Mapping[int, Cost]) -> Table:
    """The results, as they are printed."""
    heads = (
        "clients",
        "tokens/s direct",
        "through",
        f"ratio (>= {LEAST_SPEED:g})",
        "95 %",
        "of",
        "stolen",
        f"first ms later (<= {MOST_MILLISECONDS:g})",
        "95 %",
        "of",
        "",
    )
    drawn = Table(*heads, box=None, pad_edge=False)
    for clients, cost in costs.items():
        ratios = [pair.ratio for pair in cost.pairs]
        drawn.add_row(
            str(clients),
            f"{median(pair.direct.tokens_per_second for pair in cost.pairs):.0f}",
            f"{median(pair.through.tokens_per_second for pair in cost.pairs):.0f}",
            f"{cost.speed:.3f}",
            "{:.3f} to {:.3f}".format(*surely(ratios)),
            str(len(ratios)),
            f"{max(pair.stolen for pair in cost.pairs):.1%}",
            f"{median(cost.later):+.1f}",
            "{:+.1f} to {:+.1f}".format(*surely(cost.later)),
            str(len(cost.later)),
            "within" if cost.is_within else "missed",
        )
    return drawn


def surely(values: Sequence[float]) -> tuple[float, float]:
    """Between which of the values the median lies in 95 of 100 cases, however they are distributed."""
    half = len(values) ** 0.5 * 0.98  # a coin's: half of 1.96 deviations
    least, most = floor(len(values) / 2 - half), ceil(len(values) / 2 + half)
    ordered = sorted(values)
    return ordered[max(least - 1, 0)], ordered[min(most, len(values) - 1)]


if __name__ == "__main__":
    sys.exit(main())
