"""The replicas beneath the gateway: what is known of each, and which of them a request goes to.

What a replica says of itself at GET /ready is asked all the time. One that has failed a request is doubted until it has
been seen to fall and return, or for a moment: its conductor may not have noticed yet. What it has read and still holds
is remembered (`affinity`) until its ranks are started anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from serving.api import GENERATION_HEADER, WEIGHTS_HEADER
from serving.gateway.affinity import Beginning, Remembered, cost
from serving.gateway.configuration import ServedReplica

_OK: Final = 200


@dataclass(frozen=True)
class Times:
    """Seconds."""

    period: float = 0.3
    """Between looks."""
    look: float = 2.0
    """How long an answer to a look may take."""
    doubt: float = 2.0
    """How long a replica that failed a request must have said since that it is ready."""
    unreachable: float = 1.0
    """Without a word, until an attempt is given up whose endpoint does not answer to looks either."""
    unready: float = 3.0
    """The same where the endpoint says that it is not ready: it hears of it first, and an answer may go on in spite."""


@dataclass(frozen=True)
class Seen:
    """What the last look at a replica brought. Times are those at which looks began."""

    answered: bool
    """Whether the endpoint said anything; what it says may be that it is not ready."""
    ready: bool
    reason: str
    """Why it is not."""
    since: float
    """The first of the looks in a row that brought this much."""
    at: float
    generation: int | None = None
    """Of its ranks; None when it did not say."""
    weights: str | None = None
    """Digest of what it serves; None when it did not say."""


UNSEEN: Final = Seen(answered=False, ready=False, reason="it was not asked yet", since=0, at=0)


def seconds_left(seen: Seen, heard: float, now: float, times: Times) -> float | None:
    """What is left to an attempt which heard something last at `heard`; None when all is well."""
    if seen.ready:
        return None
    return max(seen.since, heard) + (times.unready if seen.answered else times.unreachable) - now


class Known:
    """One replica, as the relay has it."""

    def __init__(self, served: ServedReplica, times: Times) -> None:
        self.served = served
        self.seen = UNSEEN
        self.in_flight = 0
        """Requests of ours."""
        self.given = 0
        """Attempts, ever."""
        self.remembered = Remembered(served.kept_prompts)
        self._generation: int | None = None
        self._doubt = times.doubt
        self._doubted: float | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a request may go there."""
        if not self.seen.ready or self._doubted is None:
            return self.seen.ready
        return self.seen.since > self._doubted or self.seen.at >= self._doubted + self._doubt

    @property
    def may_be_ready(self) -> bool:
        """Whether it says that it is ready, doubted or not, or was not asked yet."""
        return self.seen.ready or self.seen is UNSEEN

    def doubt(self, now: float) -> None:
        """It has failed a request."""
        self._doubted = now

    def note(self, look: Seen) -> None:
        """Take a look into account."""
        same = (look.answered, look.ready) == (self.seen.answered, self.seen.ready)
        self.seen = replace(look, since=self.seen.since) if same else look
        if look.generation is not None and look.generation != self._generation:
            self._generation = look.generation
            self.remembered.forget()


def choose(known: Iterable[Known], avoided: Collection[Known] = (), request: Sequence[Beginning] = ()) -> Known | None:
    """Of those that are usable the one where a request costs least, by what it has read and how busy it is.

    One to be avoided only when there is no other; among equals the one that had least.
    """
    usable = [each for each in known if each.is_usable]
    preferred = [each for each in usable if each not in avoided] or usable
    tokens = request[-1].tokens if request else 0

    def costs(each: Known) -> tuple[int, float, int]:
        return *cost(each.remembered.familiar(request), tokens, each.in_flight, each.served.slots), each.given

    return min(preferred, key=costs, default=None)


class Replicas:
    """All of them, watched."""

    def __init__(self, served: Iterable[ServedReplica], token: str, times: Times | None = None) -> None:
        self._times = times or Times()
        self.known = tuple(Known(each, self._times) for each in served)
        self._changed = asyncio.Event()
        self._headers = {"Authorization": f"Bearer {token}"}

    def serving(self, weights: object) -> Sequence[Known]:
        """Those that serve a name."""
        return [each for each in self.known if each.served.weights == weights]

    async def watch(self) -> None:
        """Look at all of them, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._times.look)
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for each in self.known:
                group.create_task(self._watch(each, session))

    async def changed(self, seconds: float | None) -> None:
        """Wait until one of them becomes usable or ceases to be, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def lost(self, known: Known, heard: Callable[[], float]) -> str:
        """Wait until an attempt with a replica has no future; returns why. `heard`: when it last brought anything."""
        clock = asyncio.get_running_loop().time
        while True:
            left = seconds_left(known.seen, heard(), clock(), self._times)
            if left is not None and left <= 0:
                return f"replica '{known.served.name}' fell silent: {known.seen.reason}"
            await self.changed(left)

    async def _watch(self, known: Known, session: aiohttp.ClientSession) -> None:
        while True:
            before = (known.is_usable, known.seen.ready, known.seen.answered)
            known.note(await _look(session, f"{known.served.url}/ready"))
            if (known.is_usable, known.seen.ready, known.seen.answered) != before:
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(self._times.period)


async def _look(session: aiohttp.ClientSession, url: str) -> Seen:
    began = asyncio.get_running_loop().time()
    try:
        async with session.get(url) as response:
            ready, told = response.status == _OK, await response.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        # Clients may read this, and addresses are not theirs to know.
        reason = f"its endpoint does not answer: {type(error).__name__}"
        return Seen(answered=False, ready=False, reason=reason, since=began, at=began)
    return Seen(
        answered=True,
        ready=ready,
        reason="" if ready else told[:500],
        since=began,
        at=began,
        generation=_generation(response.headers.get(GENERATION_HEADER, "")),
        weights=response.headers.get(WEIGHTS_HEADER) or None,
    )


def _generation(told: str) -> int | None:
    return int(told) if told.isdecimal() else None
