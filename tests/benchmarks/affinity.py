"""How often a conversation finds what was read for it: two replicas, through the relay, with and without memory.

    uv run --all-groups python -m tests.benchmarks.affinity [--conversations 8] [--turns 10] [--seed 1]

Two agents with one rank each of the test weights on loopback, and the relay over them in this process. Conversations go
on at the same time, each turn a moment after the one before, first with a relay that sends each request to the least
busy replica, then with the one that remembers. A follow-up is a hit when mlx-lm had read at least the whole prompt of
the turn before, by the rank's own count in the answer's usage. It ends with 1 when fewer than 0.9 of follow-ups are.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from serving.gateway.configuration import ServedReplica
from serving.gateway.relay import REPLICA_HEADER, application
from serving.gateway.relay_replicas import Replicas
from serving.gateway.relay_upstream import Endpoints
from tests.serving.alone import TOKEN, Ports, agent

LEAST_SHARE = 0.9
ANSWER_SECONDS = 300
SLOTS, CONTEXT_TOKENS = 4, 4096
PLACES = {"a": Ports(17540, 17541), "b": Ports(17550, 17551)}
THINKING_SECONDS = 3.0
"""The most that passes between an answer and the next question. Several answers' time: conversations that went on in an
order of their own would find their replica again by taking turns."""
QUESTIONS = ("What can you do?", "Count to five.", "What is a Mac?", "Tell me a story.", "Ping")


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation, by the rank's counts."""

    number: int
    replica: str
    prompt_tokens: int
    cached_tokens: int
    before: int
    """Tokens of the prompt of the turn before."""

    @property
    def is_hit(self) -> bool:
        """Whether all that the turn before was asked had been read."""
        return self.cached_tokens >= self.before


@dataclass(frozen=True)
class Course:
    """All turns of all conversations, under one policy."""

    turns: Sequence[Turn]

    @property
    def follow_ups(self) -> list[Turn]:
        """All but the first of each conversation."""
        return [turn for turn in self.turns if turn.number > 0]

    @property
    def share(self) -> float:
        """Of the follow-ups that are hits."""
        return sum(turn.is_hit for turn in self.follow_ups) / len(self.follow_ups)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.affinity")
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as agents:
        for name, ports in PLACES.items():
            size = {"slots": SLOTS, "context_tokens": CONTEXT_TOKENS}
            agents.enter_context(agent(Path(directory) / name, ports, name=name, **size))
        courses = {
            name: asyncio.run(conversations(name, kept, given.conversations, given.turns, given.seed))
            for name, kept in (("least busy", 0), ("remembering", SLOTS))
        }
    Console().print(table(courses))
    return 0 if courses["remembering"].share >= LEAST_SHARE else 1


async def conversations(name: str, kept_prompts: int, count: int, turns: int, seed: int) -> Course:
    """So many conversations at once through a relay that remembers so many prompts of each replica."""
    replicas = Replicas([_served(name, ports, kept_prompts) for name, ports in PLACES.items()], TOKEN)
    app = application(replicas, Endpoints(TOKEN), TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://relay", headers=headers, timeout=ANSWER_SECONDS
        ) as client,
    ):
        asked = (
            _conversation(client, f"I am number {number}, and you are {name}.", turns, Random(f"{seed} {number}"))  # noqa: S311
            for number in range(count)
        )
        return Course([turn for each in await asyncio.gather(*asked) for turn in each])


async def _conversation(client: httpx.AsyncClient, beginning: str, turns: int, random: Random) -> list[Turn]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": beginning}]
    seen: list[Turn] = []
    for number in range(turns):
        await asyncio.sleep(random.uniform(0, THINKING_SECONDS))
        messages.append({"role": "user", "content": random.choice(QUESTIONS)})
        body = {"model": "cider-1", "messages": messages, "max_tokens": 24, "temperature": 0}
        response = await client.post("/v1/chat/completions", json=body)
        response.raise_for_status()
        told = response.json()
        usage = told["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        before = seen[-1].prompt_tokens if seen else 0
        seen.append(Turn(number, response.headers[REPLICA_HEADER], usage["prompt_tokens"], cached, before))
        messages.append({"role": "assistant", "content": told["choices"][0]["message"]["content"] or ""})
    return seen


def _served(name: str, ports: Ports, kept_prompts: int) -> ServedReplica:
    return ServedReplica(
        name=name,
        weights="cider-1",
        url=f"http://127.0.0.1:{ports.agent}",
        slots=SLOTS,
        context_tokens=CONTEXT_TOKENS,
        wait_seconds=60,
        body_bytes=1_000_000,
        kept_prompts=kept_prompts,
    )


def table(courses: dict[str, Course]) -> Table:
    """The results, as they are printed."""
    heads = (
        "relay",
        "follow-ups",
        "hits",
        f"share (>= {LEAST_SHARE:g})",
        "prompt tokens",
        "read before",
        "at a",
        "at b",
    )
    drawn = Table(*heads, box=None, pad_edge=False)
    for name, course in courses.items():
        where = [sum(turn.replica == place for turn in course.turns) for place in PLACES]
        drawn.add_row(
            name,
            str(len(course.follow_ups)),
            str(sum(turn.is_hit for turn in course.follow_ups)),
            f"{course.share:.2f}",
            str(sum(turn.prompt_tokens for turn in course.turns)),
            str(sum(turn.cached_tokens for turn in course.turns)),
            *map(str, where),
        )
    return drawn


if __name__ == "__main__":
    sys.exit(main())
