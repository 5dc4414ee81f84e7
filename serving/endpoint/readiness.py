"""Whether a replica can answer, from what its conductor tells: waited for before an attempt, watched during one.

An attempt is given up on evidence, never because it took long: reading a prompt takes as long as it takes. Evidence is
that the replica left `ready` or began another generation, or that rank 0's loop goes round with nothing to do while a
request is with it: then mlx-lm has lost that request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from serving.api import ReplicaState
from serving.endpoint.answering import Event
from serving.errors import ReplicaUnavailable, UpstreamFailed, UpstreamUnreachable
from serving.rank.status import Tick

_T = TypeVar("_T")

_ANSWERING: Final = ("ready", "draining")
"""A replica that drains answers what it has taken."""


@dataclass(frozen=True)
class Times:
    """Seconds."""

    idle: float = 5
    """That a loop goes round idle until a request with it is lost."""
    second_look: float = 2
    """After a failure that the conductor does not see, until the same generation is asked again."""
    look: float = 1
    """Between looks at an attempt, when no change is told."""


@dataclass(frozen=True)
class Idling:
    """How long a loop has had nothing to do."""

    since: float
    first: int
    """Its steps then."""
    steps: int

    def is_proof(self, now: float, quiet_since: float, seconds: float) -> bool:
        """Whether a request that was there all the time has been lost. A loop that stands still proves nothing."""
        return now - max(self.since, quiet_since) >= seconds and self.steps - self.first >= _STEPS


_STEPS = 10
"""An idle loop goes round about ten times a second."""


def idling(before: Idling | None, now: float, tick: Tick | None) -> Idling | None:
    """How long a loop has been idle, given one more look at it; None when it is not."""
    if tick is None or tick.activity != "idle":
        return None
    if before is None or tick.steps < before.steps:
        return Idling(now, tick.steps, tick.steps)
    return Idling(before.since, before.first, tick.steps)


class Readiness:
    """One replica. `changed` returns when its state may be another one than at the call; too often does no harm.

    It is awaited directly after a look at the state, so that nothing is missed in between.
    """

    def __init__(
        self,
        state: Callable[[], ReplicaState],
        changed: Callable[[], Coroutine[Any, Any, None]],
        times: Times | None = None,
    ) -> None:
        self._state = state
        self._changed = changed
        self._times = times or Times()

    def require_open(self) -> None:
        """Raise ReplicaUnavailable when a request that comes now need not wait."""
        state = self._state()
        if state.state in ("broken", "draining"):
            raise ReplicaUnavailable(_unavailable(state))

    def require_ready(self) -> int:
        """The generation that answers now. Raises UpstreamUnreachable when none does, or none new."""
        state = self._state()
        if state.state != "ready":
            raise UpstreamUnreachable(_unavailable(state))
        return state.generation

    async def ready(self, failed: int | None) -> int:
        """Wait for a generation that answers; `failed` is the one that the last attempt was with.

        Raises ReplicaUnavailable when there is nothing to wait for.
        """
        clock = asyncio.get_running_loop().time
        trusted = clock() + self._times.second_look
        while True:
            state = self._state()
            if state.state == "broken":
                raise ReplicaUnavailable(_unavailable(state))
            if state.state in _ANSWERING and (state.generation != failed or clock() >= trusted):
                return state.generation
            await self._change(self._times.second_look if state.generation == failed else None)

    async def lost(self, generation: int | None, heard: Callable[[], float]) -> str:
        """Wait until an attempt with a generation has no future; returns why. `heard`: when it last brought news."""
        clock, idle = asyncio.get_running_loop().time, None
        while True:
            state, now = self._state(), clock()
            if state.state not in _ANSWERING or state.generation != generation:
                return f"replica '{state.name}' fell while it answered"
            idle = idling(idle, now, _first_tick(state))
            if idle is not None and idle.is_proof(now, heard(), self._times.idle):
                return f"replica '{state.name}' has lost the request: its loop is idle"
            await self._change(self._times.look)

    def explain(self, waited: float) -> str:
        """Why a request that has waited as long as it may was not answered."""
        return f"{_unavailable(self._state())} It waited {waited:g} s without being worked on."

    async def _change(self, seconds: float | None) -> None:
        # Not wait_for: its task would begin to wait a moment after the look at the state.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed()


async def watched(
    events: AsyncGenerator[Event, None], lost: Callable[[Callable[[], float]], Coroutine[Any, Any, str]]
) -> AsyncGenerator[Event, None]:
    """The events of an attempt, until `lost` returns. Raises UpstreamFailed then."""
    clock = asyncio.get_running_loop().time
    heard, reading = clock(), None

    def stop_reading(_: asyncio.Task[str]) -> None:
        if reading is not None:
            reading.reschedule(clock())

    watching = asyncio.create_task(lost(lambda: heard))
    watching.add_done_callback(stop_reading)
    try:
        while True:
            if watching.done():
                raise UpstreamFailed(watching.result())
            try:
                # Never ends by itself; a task for each event would cost ten times as much.
                async with asyncio.timeout(None) as reading:
                    event = await anext(events, None)
            except TimeoutError:
                continue
            finally:
                reading = None
            if event is None:
                return
            heard = clock()
            yield event
    finally:
        watching.cancel()
        await events.aclose()


class Explaining(Protocol):
    """Who is waited for."""

    def explain(self, waited: float) -> str:
        """Why a request that has waited as long as it may was not answered."""
        ...


class Patience:
    """How long a request may wait without being worked on; several waits draw on it."""

    def __init__(self, seconds: float, readiness: Explaining) -> None:
        self._seconds = self._left = seconds
        self._readiness = readiness

    async def spend(self, waiting: Awaitable[_T]) -> _T:
        """Wait. Raises ReplicaUnavailable when nothing is left."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(max(self._left, 0)):
                return await waiting
        except TimeoutError as error:
            raise ReplicaUnavailable(self._readiness.explain(self._seconds)) from error
        finally:
            self._left -= clock() - began


def _first_tick(state: ReplicaState) -> Tick | None:
    # Ranks are told in their order.
    first = next(iter(state.ranks.values()), None)
    return None if first is None else first.tick


def _unavailable(state: ReplicaState) -> str:
    if state.state in _ANSWERING[:1]:
        return f"cannot answer this request: all slots of replica '{state.name}' are taken."
    return f"cannot answer this request: replica '{state.name}' is {state.state}. {state.reason}".strip()
