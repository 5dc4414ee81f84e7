"""The loop on rank 0's machine that asks all agents, lets `conductor.decide`, and does what it says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from serving.api import AgentState, RankReport, ReplicaState, agreement
from serving.conductor.decision import decide
from serving.conductor.golden import ask
from serving.conductor.observation import (
    Action,
    AskGolden,
    Course,
    Decision,
    GoldenResult,
    Join,
    Observation,
    Start,
    limits,
)
from serving.conductor.peers import Keeper
from serving.configuration import ReplicaConfiguration
from serving.endpoint.upstream import Upstream
from serving.errors import AgentUnreachable, CidermillError
from serving.rank.status import replace

_PERIOD_SECONDS = 0.3


class Conducting:
    """Drives one replica from its present course. `keepers` in rank order, this machine's own first."""

    def __init__(
        self,
        replica: ReplicaConfiguration,
        keepers: Sequence[Keeper],
        upstream: Upstream,
        directory: Path,
        period_seconds: float = _PERIOD_SECONDS,
    ) -> None:
        self._replica = replica
        self._keepers = keepers
        self._upstream = upstream
        self._period_seconds = period_seconds
        self._agreement = agreement(replica)
        self._limits = limits(replica.manifest)
        self._generation_file = directory / "generation"
        self._course = Course(generation=_last_generation(self._generation_file))
        self._machines: tuple[AgentState | None, ...] = (None,) * len(keepers)
        self._golden: asyncio.Task[GoldenResult] | None = None
        self._asked = 0
        self._afresh = False

    @property
    def state(self) -> ReplicaState:
        """The replica as it was decided last."""
        course = self._course
        ranks: dict[str, RankReport | None] = {
            member.machine: None if machine is None else machine.rank
            for member, machine in zip(self._replica.members, self._machines, strict=True)
        }
        return ReplicaState(
            name=self._replica.name,
            state=course.state,
            reason="; waiting: ".join(text for text in (course.reason, course.waiting) if text),
            generation=course.generation,
            restarts=course.restarts,
            ranks=ranks,
        )

    def begin_afresh(self) -> None:
        """Let a broken replica begin again; in any other state nothing changes."""
        self._afresh = True

    async def run(self) -> None:
        """Observe, decide, act, until cancelled."""
        while True:
            self._machines = tuple(await asyncio.gather(*map(_state, self._keepers)))
            decision = decide(self._observation())
            self._afresh = False
            self._note(decision)
            await asyncio.gather(*map(self._act, decision.actions))
            await asyncio.sleep(self._period_seconds)

    def _observation(self) -> Observation:
        asked = self._golden
        return Observation(
            now=asyncio.get_running_loop().time(),
            replica=self._replica,
            agreement=self._agreement,
            limits=self._limits,
            course=self._course,
            machines=self._machines,
            golden=asked.result() if asked is not None and asked.done() and not asked.cancelled() else None,
            afresh=self._afresh,
        )

    def _note(self, decision: Decision) -> None:
        before, self._course = self._course, decision.course
        if (before.state, before.reason, before.waiting) != (
            decision.course.state,
            decision.course.reason,
            decision.course.waiting,
        ):
            state = self.state
            logging.info(
                "Replica %s is %s (generation %d). %s", state.name, state.state, state.generation, state.reason
            )
        if decision.course.state != "warming" and self._golden is not None:
            self._golden.cancel()  # does nothing once it has an answer
        if before.generation != decision.course.generation:
            # Before any rank of it starts: a number is never used twice, also across agents.
            replace(self._generation_file, str(decision.course.generation))

    async def _act(self, action: Action) -> None:
        if isinstance(action, AskGolden):
            self._ask_golden(action.generation)
            return
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


async def _state(keeper: Keeper) -> AgentState | None:
    try:
        return await keeper.state()
    except AgentUnreachable:
        return None


def _last_generation(path: Path) -> int:
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise CidermillError(f"cannot tell which generation came last: {path} holds no number. Remove it.") from error
