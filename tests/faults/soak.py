"""Mixed traffic and random faults at both replicas for as long as asked: nothing lost, and no process grows.

    uv run --all-groups python -m tests.faults.soak [--minutes 20] [--seed 1] [--clients 8] [--keep]

It makes a rack of stand-in Macs of its own and deploys to them. It prints a line each minute and a table in the end,
and ends with 1 when a request was lost, altered or overdue, poison got something else than a refusal, or a process
grew. A fault comes when the replica it is for is ready and has restarts left: what a lab in good order has to bear.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

from rich.console import Console

from tests.faults import memory
from tests.faults.asking import answer, ask
from tests.faults.kinds import KINDS, Kind, closes
from tests.faults.load import PAUSE_AFTER_FAILURE_SECONDS
from tests.faults.mending import NotAsExpected, state, wait_until_ready
from tests.faults.rack import rack
from tests.faults.scene import REPLICAS, Place, Scene
from tests.faults.soaked import Soaked, Strike, Told, tally
from tests.faults.traffic import all_questions, draw

DEADLINE_SECONDS = 180.0
SAMPLE_SECONDS = 5.0
CALM_SECONDS = (10.0, 30.0)
"""Between two faults, drawn anew each time."""

RESTARTS_TO_SPARE = 1
CHOSEN = [name for name, kind in KINDS.items() if kind.is_bounded or kind.watched == "gateway"]
_console = Console(highlight=False, soft_wrap=True)
_console.width = max(150, _console.width)


@dataclass
class Run:
    """What has been seen so far."""

    scene: Scene
    needed: Mapping[str, str]
    ends: float
    told: list[Told] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    samples: list[memory.Sample] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.ends

    def soaked(self) -> Soaked:
        """What it comes to."""
        trends = memory.trends(self.samples, self.began, time.monotonic())
        return tally(self.told, self.strikes, trends)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.faults.soak", description="Mixed traffic and random faults.")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keep", action="store_true", help="leave the Macs up, for another run")
    given = parser.parse_args(arguments)
    try:
        with rack(keep=given.keep) as scene:
            soaked = asyncio.run(_soak(scene, given.minutes * 60, given.seed, given.clients))
    except NotAsExpected as reason:
        _console.print(reason, style="red")
        return 1
    _console.print(soaked.table())
    for line in soaked.missed():
        _console.print(f"MISSED: {line}", style="red")
    return 1 if soaked.missed() else 0


async def _soak(scene: Scene, seconds: float, seed: int, clients: int) -> Soaked:
    run = Run(scene, await _needed(scene), time.monotonic() + seconds)
    async with _telling(run), asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(_client(run, number, _random(seed, number)))
        tasks.create_task(_strike(run, _random(seed, clients)))
    return run.soaked()


def _random(seed: int, number: int) -> Random:
    return Random(f"{seed} {number}")  # noqa: S311 - nothing secret is drawn


async def _needed(scene: Scene) -> dict[str, str]:
    """The right answer to everything that is asked, undisturbed."""
    async with scene.endpoint("a").client() as http:
        return {wish.question: await answer(http, wish.body, DEADLINE_SECONDS, wish.path) for wish in all_questions()}


async def _client(run: Run, number: int, random: Random) -> None:
    doors = [run.scene.gateway(), *map(run.scene.endpoint, REPLICAS)]
    while not run.is_over():
        wish = draw(random)
        # Poison is for the endpoint, which is what keeps it from the ranks; half of all else takes the clients' door.
        gateway = wish.expected != "refusal" and random.random() < 0.5
        door = 0 if gateway else random.randint(1, len(REPLICAS))
        async with doors[door].client() as http:
            request = await ask(
                http,
                doors[door].door,
                wish.body,
                run.needed[wish.question],
                DEADLINE_SECONDS,
                path=wish.path,
                leaves_after=wish.leaves_after,
            )
        run.told.append(Told(wish.expected, None if gateway else list(REPLICAS)[door - 1], request))
        if request.ending == "disconnected":
            await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)


async def _strike(run: Run, random: Random) -> None:
    while not run.is_over():
        await asyncio.sleep(random.uniform(*CALM_SECONDS))
        name, replica = random.choice(CHOSEN), random.choice(list(REPLICAS))
        kind = KINDS[name]
        place = Place(replica, random.choice(kind.ranks))
        if not run.is_over() and await asyncio.to_thread(_can_bear, run.scene, replica):
            await _one(run, name, kind, place)


async def _one(run: Run, name: str, kind: Kind, place: Place) -> None:
    strike = Strike(name, place.replica, time.monotonic(), closes(kind, place))
    run.strikes.append(strike)
    try:
        await asyncio.to_thread(kind.put, run.scene, place)
        if kind.mend is not None:
            await asyncio.sleep(max(0.0, strike.began + kind.lasts - time.monotonic()))
            await asyncio.to_thread(kind.mend, run.scene, place)
    finally:
        if kind.clean is not None:
            await asyncio.to_thread(kind.clean, run.scene, place)
    # Its daemons come back a while after the fault is over; until then connections may end with it.
    back = await asyncio.to_thread(_comes_back, run.scene, place.replica)
    run.strikes[-1] = replace(strike, ended=time.monotonic(), back=back)


def _comes_back(scene: Scene, replica: str) -> bool:
    try:
        wait_until_ready(scene, replica)
    except NotAsExpected:
        return False
    return True


def _can_bear(scene: Scene, replica: str) -> bool:
    told = state(scene, replica)
    return told["state"] == "ready" and told["restarts"] <= RESTARTS_TO_SPARE


@asynccontextmanager
async def _telling(run: Run) -> AsyncIterator[None]:
    """A line each minute, and the memory of every process every few seconds."""
    tasks = [asyncio.create_task(_sample(run)), asyncio.create_task(_tell(run))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _sample(run: Run) -> None:
    while True:
        run.samples += await asyncio.to_thread(lambda: list(memory.now(run.scene.lab, time.monotonic())))
        await asyncio.sleep(SAMPLE_SECONDS)


async def _tell(run: Run) -> None:
    while True:
        await asyncio.sleep(60)
        _console.print(f"{(time.monotonic() - run.began) / 60:4.0f} min  {'  '.join(_line(run))}")


def _line(run: Run) -> Iterator[str]:
    soaked = run.soaked()
    yield from (f"{count} {what}" for what, count in soaked.counts.items() if count)
    yield f"{len(run.strikes)} faults, last {run.strikes[-1].fault if run.strikes else '-'}"
    latest = max((sample.at for sample in run.samples), default=0)
    sizes = [f"{s.machine} {s.task} {s.megabytes:.0f}" for s in run.samples if s.at == latest]
    yield f"MB: {', '.join(sizes)}"


if __name__ == "__main__":
    sys.exit(main())
