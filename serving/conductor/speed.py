"""How fast a replica generates: the golden question, asked a few times over, and its tokens counted by the clock.

The first token of an answer is not counted, so that neither the prompt nor a connection is. The best of a few rounds
is told, as everything that disturbs a round makes it slower. Two speeds are compared only when they are of the same:
weights, Macs in their order, transport, sharding and layers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared
from serving.endpoint.answering import Event
from serving.errors import CidermillError, SpeedUnknown
from serving.rank.asked import FIELD

_PATH = "/v1/chat/completions"
_BRIEF_TOKENS = 8
"""Of the first round, where it may be fast enough."""


class Speed(Declared):
    """How fast a replica was."""

    tokens_per_second: float
    of: str
    """Digest of all that makes a replica as fast as it is."""


@dataclass(frozen=True)
class Rounds:
    """How long to measure: so many rounds, each until so many tokens came, or for so many seconds."""

    count: int = 3
    tokens: int = 32
    seconds: float = 4.0


class Answering(Protocol):
    """Who is asked."""

    def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """An answer as it comes. Raises CidermillError and its kinds."""
        ...


async def measured(
    upstream: Answering,
    replica: ReplicaConfiguration,
    rounds: Rounds = Rounds(),
    enough: float | None = None,
    clock: Callable[[], float] | None = None,
) -> Speed:
    """The speed of a replica that has nothing else to do, no longer than until it is `enough`. Raises SpeedUnknown."""
    clock, rates = clock or asyncio.get_running_loop().time, list[float]()
    try:
        if enough is not None:
            rates.append(await _round(upstream, replica, replace(rounds, tokens=_BRIEF_TOKENS), clock))
        while len(rates) < rounds.count and (enough is None or max(rates, default=0) < enough):
            rates.append(await _round(upstream, replica, rounds, clock))
    except CidermillError as error:
        raise SpeedUnknown(f"cannot tell how fast replica '{replica.name}' is: {error}") from error
    best = max(rates)
    if best == 0:
        raise SpeedUnknown(f"cannot tell how fast replica '{replica.name}' is: its golden answer has but one token.")
    return Speed(tokens_per_second=round(best, 2), of=of(replica))


def of(replica: ReplicaConfiguration) -> str:
    """What two speeds must have the same to be compared."""
    members = [member.machine for member in replica.members]
    told = [replica.manifest.digest, members, replica.transport, replica.sharding, replica.layers]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


async def _round(
    upstream: Answering, replica: ReplicaConfiguration, rounds: Rounds, clock: Callable[[], float]
) -> float:
    """Tokens per second, the first of each answer left out; 0 when none but first ones came."""
    tokens, seconds, began = 0, 0.0, clock()
    while tokens < rounds.tokens and clock() < began + rounds.seconds:
        came, took = await _asked(upstream, replica, rounds.tokens, clock)
        tokens, seconds = tokens + came, seconds + took
        if came == 0:
            break
    return tokens / seconds if seconds > 0 else 0.0


async def _asked(
    upstream: Answering, replica: ReplicaConfiguration, wanted: int, clock: Callable[[], float]
) -> tuple[int, float]:
    """Tokens of one answer after its first, no more than are wanted, and the seconds that they took."""
    question = {"role": "user", "content": replica.golden.question}
    body = {"messages": [question], "temperature": 0, "max_tokens": min(wanted + 1, replica.context_tokens)}
    tokens, first, last = 0, 0.0, 0.0
    async with aclosing(upstream.events(_PATH, body)) as events:
        async for event in events:
            came = 0 if isinstance(event, str) else len(event.get(FIELD, {}).get("tokens", ()))
            if came:
                last = clock()
                tokens, first = (tokens + came, first) if first else (came, last)
    return max(tokens - 1, 0), last - first
