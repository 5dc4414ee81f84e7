"""What the endpoint costs: tokens per second and time to the first, through it and past it.

    uv run --all-groups python -m tests.benchmarks.endpoint [--rounds 8] [--fast]

One agent with one rank of the test weights on loopback. The same clients ask mlx-lm's server directly and through the
endpoint, in turns, whose order changes from round to round; each pair gives one ratio. They ask for what the weights
know by heart, so that every answer is as long, and begin at moments drawn once for both sides of a pair: requests of
different people do not come in the same instant. It ends with 1 when a bound is missed. The Macs' environment has
neither httptools nor uvloop, so they are hidden from the agent here unless --fast.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import httpx
from rich.console import Console
from rich.table import Table

from tests.serving.alone import TOKEN, Ports, agent

LEAST_SPEED, MOST_MILLISECONDS = 0.97, 5.0
CLIENTS = (1, 4, 8)
AGENT_PORT, RANK_PORT = 17540, 17541
PORTS = Ports(AGENT_PORT, RANK_PORT)
ANSWERS = 2
SPREAD_SECONDS = 1.0
_chance = Random(7)  # noqa: S311 - no secret


@dataclass(frozen=True)
class Measured:
    """What some clients saw at once."""

    tokens_per_second: float
    first_milliseconds: float


@dataclass(frozen=True)
class Pair:
    """One round: past the endpoint and through it."""

    direct: Measured
    through: Measured


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.endpoint")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--fast", action="store_true", help="with httptools and uvloop")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory, agent(Path(directory), PORTS, fast=given.fast):
        results = {clients: asyncio.run(rounds(clients, given.rounds)) for clients in CLIENTS}
    Console().print(table(results))
    return 0 if all(map(is_within, results.values())) else 1


async def rounds(clients: int, number: int) -> list[Pair]:
    """Pairs of measurements; the first, which warms up, is left out."""
    pairs: list[Pair] = []
    for turn in range(number + 1):
        order = (RANK_PORT, AGENT_PORT) if turn % 2 else (AGENT_PORT, RANK_PORT)
        moments = [_chance.uniform(0, SPREAD_SECONDS) for _ in range(clients)]
        seen = {port: await measured(port, moments) for port in order}
        pairs.append(Pair(seen[RANK_PORT], seen[AGENT_PORT]))
    return pairs[1:]


async def measured(port: int, moments: Sequence[float]) -> Measured:
    """What clients that begin at these moments, in seconds, see of a port, some answers each."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
        began = perf_counter()
        answers = await asyncio.gather(*(_answers(client, port, moment) for moment in moments))
        seconds = perf_counter() - began
    made, first = zip(*(each for answer in answers for each in answer), strict=True)
    return Measured(sum(made) / seconds, median(first) * 1000)


async def _answers(client: httpx.AsyncClient, port: int, moment: float) -> list[tuple[int, float]]:
    await asyncio.sleep(moment)
    return [await _answer(client, port) for _ in range(ANSWERS)]


async def _answer(client: httpx.AsyncClient, port: int) -> tuple[int, float]:
    """The tokens of one answer, and the seconds to its first piece of text."""
    body = {
        "model": "default_model" if port == RANK_PORT else "cider-1",
        "messages": [{"role": "user", "content": "Count to thirty."}],
        "max_tokens": 200,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    first, made, began = 0.0, 0, perf_counter()
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            told = json.loads(line.removeprefix("data: "))
            if not first and any(choice["delta"].get("content") for choice in told["choices"]):
                first = perf_counter() - began
            if told.get("usage"):
                made = told["usage"]["completion_tokens"]
    return made, first


def speed(pairs: Sequence[Pair]) -> float:
    """Tokens per second through the endpoint, as a part of those past it."""
    return median(pair.through.tokens_per_second / pair.direct.tokens_per_second for pair in pairs)


def delay(pairs: Sequence[Pair]) -> float:
    """Milliseconds that the first token comes later through the endpoint."""
    return median(pair.through.first_milliseconds - pair.direct.first_milliseconds for pair in pairs)


def is_within(pairs: Sequence[Pair]) -> bool:
    """Whether the endpoint costs no more than it may."""
    return speed(pairs) >= LEAST_SPEED and delay(pairs) <= MOST_MILLISECONDS


def table(results: dict[int, list[Pair]]) -> Table:
    """The results, as they are printed."""
    heads = (
        "clients",
        "tokens/s direct",
        "through",
        "ratio (>= 0.97)",
        "first ms direct",
        "through",
        "later (<= 5)",
        "",
    )
    drawn = Table(*heads, box=None, pad_edge=False)
    for clients, pairs in results.items():
        direct, through = [pair.direct for pair in pairs], [pair.through for pair in pairs]
        ratios = sorted(pair.through.tokens_per_second / pair.direct.tokens_per_second for pair in pairs)
        drawn.add_row(
            str(clients),
            f"{median(each.tokens_per_second for each in direct):.0f}",
            f"{median(each.tokens_per_second for each in through):.0f}",
            f"{speed(pairs):.3f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            f"{median(each.first_milliseconds for each in direct):.1f}",
            f"{median(each.first_milliseconds for each in through):.1f}",
            f"{delay(pairs):+.1f}",
            "within" if is_within(pairs) else "missed",
        )
    return drawn


if __name__ == "__main__":
    sys.exit(main())
