"""One fault under load: clients ask, the fault comes, a person does what only a person can, all answers are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from tests.faults.asking import PING, Doorway
from tests.faults.judging import outage
from tests.faults.kinds import Kind, closes
from tests.faults.load import loading
from tests.faults.mending import NotAsExpected, start_cold, state, wait_until_ready
from tests.faults.records import Door, Look, Trial, Word
from tests.faults.scene import Place, Scene
from tests.faults.watching import Watch, watching

NOTICES_WITHIN_SECONDS = 8.0
"""What has not shown by then does not disturb the replica."""

BREAKS_WITHIN_SECONDS = 60.0
BACK_WITHIN_SECONDS = 90.0
STEADY_SECONDS = 1.0


@dataclass(frozen=True)
class Manner:
    """How trials are made."""

    doors: Sequence[Door]
    clients: int
    deadline: float
    needed: Mapping[str, str]
    cold: bool
    """Whether each trial is on a replica that has just started cold, and is compared with that start."""


async def tried(scene: Scene, name: str, kind: Kind, place: Place, manner: Manner) -> Trial:
    """Put a fault in, once. Whatever becomes of it, it is out again."""
    async with (
        loading(_doorways(scene, place, manner.doors), manner.needed, manner.clients, manner.deadline) as load,
        watching(scene, place.replica, manner.needed[PING], manner.deadline) as watch,
    ):
        # Another fault may have ended the gateway: with half of the clients away a start would be quicker.
        await _until(lambda: bool(watch.gateway) and watch.gateway[-1].answer == "yes", watch, BACK_WITHIN_SECONDS)
        cold_start = await asyncio.to_thread(start_cold, scene, place.replica, kind.cold) if manner.cold else None
        warm = time.monotonic()
        # Clients that lost their connection to the cold start are none of the fault's.
        await _until(lambda: bool(load.requests), watch, manner.deadline)
        before = len(load.requests)
        await _until(lambda: len(load.requests) >= before + manner.clients, watch, manner.deadline)
        looks = watch.readies if kind.watched == "replica" else watch.gateway
        struck = time.monotonic()
        try:
            await asyncio.to_thread(kind.put, scene, place)
            await _until(lambda: outage(looks, struck) is not None, watch, NOTICES_WITHIN_SECONDS)
            if kind.breaks:
                await _until(lambda: watch.words[-1].state == "broken", watch, BREAKS_WITHIN_SECONDS)
            mended = await _mend(scene, kind, place, struck)
            await _until(lambda: _is_over(looks, struck), watch, BACK_WITHIN_SECONDS)
            requests = await load.finish()
        finally:
            if kind.clean is not None:
                await asyncio.to_thread(kind.clean, scene, place)
        await watch.finish()
        return Trial(
            fault=name,
            replica=place.replica,
            machine=place.machine,
            struck=struck,
            mended=mended,
            deadline=manner.deadline,
            closes=closes(kind, place),
            requests=tuple(request for request in requests if request.ended >= struck),
            # Those after the cold start too: they show what a completion takes with everybody asking at once.
            probes=tuple(probe for probe in watch.probes if probe.began >= warm or probe.ended >= struck),
            readies=tuple(look for look in watch.readies if look.asked >= struck),
            looks=tuple(look for look in looks if look.asked >= struck),
            words=_words(watch, struck),
            cold_start=cold_start,
            cold=kind.cold,
            is_bounded=kind.is_bounded,
            breaks=kind.breaks,
        )


def settle(scene: Scene, replica: str, *, all_restarts: bool = True) -> None:
    """Have a replica ready, and with all its restarts, by a cold start if it takes one."""
    try:
        wait_until_ready(scene, replica)
        spent = all_restarts and state(scene, replica)["restarts"] > 0
    except (NotAsExpected, httpx.TransportError):
        spent = True
    if spent:
        start_cold(scene, replica)


async def _mend(scene: Scene, kind: Kind, place: Place, struck: float) -> float | None:
    if kind.mend is None:
        return None
    await asyncio.sleep(max(0.0, struck + kind.lasts - time.monotonic()))
    await asyncio.to_thread(kind.mend, scene, place)
    return time.monotonic()


def _words(watch: Watch, struck: float) -> tuple[Word, ...]:
    """From the state that the fault found it in."""
    first = max((number for number, word in enumerate(watch.words) if word.at < struck), default=0)
    return tuple(watch.words[first:])


def _is_over(looks: Sequence[Look], struck: float) -> bool:
    out = outage(looks, struck)
    return out is None or time.monotonic() > out.end + STEADY_SECONDS


def _doorways(scene: Scene, place: Place, doors: Sequence[Door]) -> list[Doorway]:
    return [scene.gateway() if door == "gateway" else scene.endpoint(place.replica) for door in doors]


async def _until(is_so: Callable[[], bool], watch: Watch, seconds: float) -> None:
    """Until it is so, or the time is over: what follows shows which."""
    try:
        async with asyncio.timeout(seconds):
            while not is_so():
                await watch.news.wait()
    except TimeoutError:
        return
