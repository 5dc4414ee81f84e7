"""What the gateway costs: time to the first token, tokens per second, memory and start, beside LiteLLM's own proxy.

    uv run --all-groups python -m tests.benchmarks.gateway [--rounds 5] [--tokens 60] [--pace 25] [--streams 1 8 32]

An endpoint that answers each stream at a fixed pace, so that no rank is measured. The same clients ask it directly,
through a bare LiteLLM proxy and through the gateway, in turns whose order changes from round to round; all three run
all the time. It ends with 1 when the gateway adds more than a tenth to what bare LiteLLM takes. With --pace 0 the
endpoint is as fast as it can be, and tokens per second are what a door can carry.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx
from rich.console import Console

from tests.benchmarks.compared import Measured, Round, misses, table
from tests.benchmarks.doors import Standing, bare, endpoint, gateway

_SECONDS = 900
_ANSWERS = 4
"""The fewest in one measurement: of one stream, so many after each other."""
_QUESTION = {"role": "user", "content": "Count."}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.gateway")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=60, help="of each answer")
    parser.add_argument("--pace", type=float, default=25, help="tokens per second of each stream; 0: no pace")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32])
    given = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(150, console.width)
    with (
        tempfile.TemporaryDirectory() as directory,
        endpoint(given.pace) as direct,
        bare(Path(directory, "bare"), direct) as theirs,
        gateway(Path(directory, "gateway"), direct) as ours,
    ):
        idle = {door.name: door.megabytes() for door in (theirs, ours)}
        doors = {"direct": direct, "bare": theirs, "gateway": ours}
        results = {streams: asyncio.run(rounds(doors, streams, given)) for streams in given.streams}
        console.print(table(results))
        for door in (theirs, ours):
            console.print(
                f"{door.name}: {door.seconds:.1f} s to its first answer, {idle[door.name]:.0f} MB idle, "
                f"{door.megabytes():.0f} MB after the load"
            )
    missed = [miss for streams, result in results.items() for miss in misses(streams, result)]
    for miss in missed:
        console.print(f"MISSED: {miss}")
    return 1 if missed else 0


async def rounds(doors: Mapping[str, Standing], streams: int, given: argparse.Namespace) -> list[Round]:
    """Rounds of measurements; the first, which warms up, is left out."""
    names, done = list(doors), list[Round]()
    for turn in range(given.rounds + 1):
        order = names[turn % 3 :] + names[: turn % 3]
        seen = {name: await measured(doors[name], streams, given.tokens) for name in order}
        done.append(Round(**seen))
    return done[1:]


async def measured(door: Standing, streams: int, tokens: int) -> Measured:
    """What so many streams at once see of a door. Raises RuntimeError where an answer is not whole."""
    headers = {"Authorization": f"Bearer {door.key}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=door.url, headers=headers, timeout=_SECONDS, limits=limits, trust_env=False
    ) as client:
        firsts, began = list[float](), perf_counter()
        while len(firsts) < _ANSWERS:
            firsts += await asyncio.gather(*(_first(client, door.name, tokens) for _ in range(streams)))
        seconds = perf_counter() - began
    return Measured(len(firsts) * tokens / seconds, median(firsts) * 1000)


async def _first(client: httpx.AsyncClient, name: str, tokens: int) -> float:
    """Seconds to the first piece of one answer, which is read to its end."""
    body = {"model": "cider-1", "messages": [_QUESTION], "max_tokens": tokens, "stream": True}
    first, seen, began = 0.0, b"", perf_counter()
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.is_error:
            raise RuntimeError(f"{name} answers {response.status_code}: {(await response.aread())[:500]!r}")
        async for piece in response.aiter_raw():
            seen += piece
            if not first and b'"content":' in seen:
                first = perf_counter() - began
    if _text(seen) != "".join(f" {number}" for number in range(tokens)) or b"[DONE]" not in seen:
        raise RuntimeError(f"{name} broke off, or told something else: {seen[-500:]!r}")
    return first


def _text(stream: bytes) -> str:
    """What a whole stream tells, in however many pieces."""
    told = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in told for choice in chunk["choices"])


if __name__ == "__main__":
    sys.exit(main())
