"""The loop on rank 0's machine that hears all agents, lets `conductor.decide`, and does what it says.

A round waits for nobody: agents are heard and told beside it, so its own lateness is a sign of this process alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from serving.api import AgentState, RankReport, ReplicaState, agreement
from serving.conductor.decision import decide
from serving.conductor.draining import Drains
from serving.conductor.golden import ask
from serving.conductor.listening import Listener
from serving.conductor.observation import (
    Action,
    AskGolden,
    Course,
    Decision,
    GoldenResult,
    Join,
    Observation,
    Start,
    Stop,
    limits,
)
from serving.conductor.peers import Keeper
from serving.conductor.speed import Speed, measured
from serving.configuration import ReplicaConfiguration
from serving.endpoint.upstream import Upstream
from serving.errors import CidermillError, SpeedUnknown
from serving.rank.status import Tick
from serving.rank.status import replace as write

_PERIOD_SECONDS = 0.2
_STEP_SECONDS = 2.0
"""How long rank 0 may take for the step that shows that all ranks are there; idle, it takes ten a second."""

_LOOK_SECONDS = 0.05


class Conducting:
    """Drives one replica from its present course. `keepers` in rank order, this machine's own first.

    `agreed` is what the agents of this replica must agree on, as `serving.api.agreement` has it.
    """

    def __init__(
        self,
        replica: ReplicaConfiguration,
        keepers: Sequence[Keeper],
        upstream: Upstream,
        directory: Path,
        agreed: str | None = None,
        period_seconds: float = _PERIOD_SECONDS,
    ) -> None:
        self._replica = replica
        self._keepers = keepers
        self._upstream = upstream
        self._period_seconds = period_seconds
        self._agreement = agreement(replica) if agreed is None else agreed
        self._limits = limits(replica.manifest)
        self._generation_file = directory / "generation"
        self._course = Course(generation=_last_generation(self._generation_file))
        self._drains = Drains(directory / "drains.json")
        self._drained = self._drains.reason
        self._since = _now()
        self._news = asyncio.Event()
        self._listeners = [Listener(keeper, self._news, period_seconds) for keeper in keepers]
        self._machines: tuple[AgentState | None, ...] = (None,) * len(keepers)
        self._telling: dict[int, asyncio.Task[None]] = {}
        self._golden: asyncio.Task[GoldenResult] | None = None
        self._asked = 0
        self._afresh = False
        self._change = asyncio.Event()

    @property
    def state(self) -> ReplicaState:
        """The replica as it was decided last; one that is ready and held back is draining."""
        course, drained = self._course, self._drained
        drains = bool(drained) and course.state == "ready"
        ranks: dict[str, RankReport | None] = {
            member.machine: None if machine is None else machine.rank
            for member, machine in zip(self._replica.members, self._machines, strict=True)
        }
        return ReplicaState(
            name=self._replica.name,
            state="draining" if drains else course.state,
            reason=drained if drains else "; waiting: ".join(filter(None, (course.reason, course.waiting))),
            notice="; ".join(filter(None, (course.notice, "" if drains else drained))),
            since=self._since,
            generation=course.generation,
            restarts=course.restarts,
            drained_by=self._drains.owners,
            ranks=ranks,
        )

    @property
    def weights(self) -> str:
        """Which bytes it serves, as a digest."""
        return self._replica.manifest.digest

    async def changed(self) -> None:
        """Wait until state, generation, reason or notice are others than now.

        Await it directly after a look at `state`: nothing is missed between the two.
        """
        await self._change.wait()

    async def why_not_ready(self) -> str:
        """Why a completion would not come now, or nothing when it would.

        Rank 0 has to take a step after the question: that needs every rank.
        """
        if self.state.state == "ready" and not await self._steps():
            return f"replica '{self._replica.name}' is ready, but rank 0 took no step for {_STEP_SECONDS:g} seconds."
        state = self.state
        return "" if state.state == "ready" else f"replica '{state.name}' is {state.state}. {state.reason}".strip()

    def begin_afresh(self) -> None:
        """Let a broken replica begin again; in any other state nothing changes."""
        self._afresh = True
        self._news.set()

    def drain(self, by: str, seconds: float, *, from_restart: bool = False) -> None:
        """Take nothing new, but bring to its end what was taken. Raises DrainRefused."""
        self._drains.order(by, seconds, from_restart=from_restart)
        self._note_drains()

    def readmit(self, by: str | None) -> None:
        """Take requests again as far as `by` held them back, or whoever did. Raises DrainRefused."""
        self._drains.lift(by)
        self._note_drains()

    async def speed(self, enough: float | None = None) -> Speed:
        """How fast the replica is now, at least when that is `enough`. Raises SpeedUnknown."""
        if self._course.state != "ready":
            state = self.state
            raise SpeedUnknown(f"cannot tell how fast replica '{state.name}' is: it is {state.state}. {state.reason}")
        return await measured(self._upstream, self._replica, enough=enough)

    async def run(self) -> None:
        """Observe, decide, act, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(listener.run())
            while True:
                self._round()
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._period_seconds):
                        await self._news.wait()

    def _round(self) -> None:
        now = asyncio.get_running_loop().time()
        self._machines = tuple(listener.said(now) for listener in self._listeners)
        decision = self._written(decide(self._observation(now)))
        self._afresh = False
        for by in self._drains.run_out():
            logging.warning("Replica %s is no longer drained by '%s', who has not renewed it", self._replica.name, by)
        self._note_drains()
        self._note(decision.course)
        for action in decision.actions:
            self._act(action)

    def _observation(self, now: float) -> Observation:
        asked = self._golden
        return Observation(
            now=now,
            replica=self._replica,
            agreement=self._agreement,
            limits=self._limits,
            course=self._course,
            machines=self._machines,
            golden=asked.result() if asked is not None and asked.done() and not asked.cancelled() else None,
            afresh=self._afresh,
        )

    def _written(self, decision: Decision) -> Decision:
        """Before any rank of a generation starts its number is on disk: none is used twice, also across agents."""
        before, after = self._course, decision.course
        if before.generation == after.generation:
            return decision
        try:
            write(self._generation_file, str(after.generation))
        except OSError as error:
            waiting = f"cannot write {self._generation_file}: {error.strerror}. Make room there"
            return Decision(replace(before, seen=after.seen, heard=after.heard, beginning=False, waiting=waiting))
        return decision

    def _note(self, course: Course) -> None:
        before, self._course = self._course, course
        if before.state != course.state:
            self._since = _now()
        if _told(before) != _told(course):
            self._tell_change()
        if course.state != "warming" and self._golden is not None:
            self._golden.cancel()  # does nothing once it has an answer

    def _note_drains(self) -> None:
        reason = self._drains.reason
        if reason != self._drained:
            if self._course.state == "ready" and not (reason and self._drained):
                self._since = _now()
            self._drained = reason
            self._tell_change()

    def _tell_change(self) -> None:
        state = self.state
        logging.info(
            "Replica %s is %s (generation %d). %s",
            *(state.name, state.state, state.generation, "; ".join(filter(None, (state.reason, state.notice)))),
        )
        self._change.set()
        self._change = asyncio.Event()

    def _act(self, action: Action) -> None:
        if isinstance(action, AskGolden):
            self._ask_golden(action.generation)
            return
        before = self._telling.get(action.rank)
        # Every action comes again in the next round, if it is still wanted then.
        if before is None or before.done():
            self._telling[action.rank] = asyncio.create_task(self._tell(action))

    async def _tell(self, action: Start | Join | Stop) -> None:
        keeper = self._keepers[action.rank]
        try:
            if isinstance(action, Start):
                await keeper.start(action.generation)
            elif isinstance(action, Join):
                await keeper.let_in(action.generation)
            else:
                await keeper.stop()
        except CidermillError as error:
            # What follows from it shows in the next observation.
            logging.warning("%s: %s", action, error)

    def _ask_golden(self, generation: int) -> None:
        if self._asked == generation:
            return
        self._asked = generation
        if self._golden is not None:
            self._golden.cancel()
        self._golden = asyncio.create_task(ask(self._upstream, self._replica, generation))
        self._golden.add_done_callback(lambda _: self._news.set())

    async def _steps(self) -> bool:
        loop = asyncio.get_running_loop()
        deadline, first = loop.time() + _STEP_SECONDS, await self._tick()
        while first is not None and loop.time() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            tick = await self._tick()
            if tick is None or tick.steps != first.steps or (self._may_read(tick) and tick.beats != first.beats):
                return tick is not None
        return False

    def _may_read(self, tick: Tick) -> bool:
        # Reading one part of a long prompt is a single step. Where somebody is silent it may be one that never ends.
        return tick.activity == "prefilling" and None not in self._machines

    async def _tick(self) -> Tick | None:
        rank = (await self._keepers[0].state()).rank
        return rank.tick if rank is not None and rank.generation == self._course.generation else None


def _told(course: Course) -> tuple[object, ...]:
    return course.state, course.generation, course.reason, course.waiting, course.notice


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _last_generation(path: Path) -> int:
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise CidermillError(f"cannot tell which generation came last: {path} holds no number. Remove it.") from error
