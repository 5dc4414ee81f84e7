from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from serving.agent.status import Held, NotReady, wait
from serving.api import AgentState, RankReport, ReplicaState, StateName
from serving.errors import AgentUnreachable
from serving.rank.status import Phase
from tests.serving.replicas import machine, status


class Agent:
    """Says one thing after another, the last for ever."""

    def __init__(self, sayings: Iterable[AgentState | None], rate: float | None = None) -> None:
        self._sayings = list(sayings)
        self.rate = rate
        self.begun_afresh = 0
        self.readmitted: list[str | None] = []
        self.drained: list[tuple[str, float]] = []

    def told(self) -> dict[str, Any]:
        saying = self._sayings.pop(0) if len(self._sayings) > 1 else self._sayings[0]
        if saying is None:
            raise AgentUnreachable("nobody there")
        return saying.model_dump(mode="json")

    def begin_afresh(self) -> None:
        self.begun_afresh += 1

    def drain(self, by: str, seconds: float) -> None:
        if self._sayings[0] is None:
            raise AgentUnreachable("nobody there")
        self.drained.append((by, seconds))

    def speed(self, enough: float | None = None) -> str:
        if self.rate is None:
            raise AgentUnreachable("nobody can tell")
        return json.dumps({"tokens_per_second": self.rate, "of": f"{enough}"})

    def readmit(self, by: str | None) -> None:
        self.readmitted.append(by)


class Clock:
    """Goes on only when somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def state(
    name: StateName, *phases: Phase | None, reason: str = "", generation: int = 1, release: str = "r1"
) -> AgentState:
    ranks = {
        f"mac-{rank + 1}": RankReport(generation=generation, living=True, status=status(rank, phase, generation))
        if phase
        else None
        for rank, phase in enumerate(phases)
    }
    replica = ReplicaState(name="a", state=name, reason=reason, generation=generation, restarts=0, ranks=ranks)
    return machine(0, replica=replica, release=release)


def said_until_ready(agent: Agent) -> list[str]:
    said: list[str] = []
    clock = Clock()
    wait(agent, "r1", 30, say=said.append, clock=clock, pause=clock.pause)
    return said


def test_each_change_is_said_once():
    loading = state("loading", "serving", "loading")

    assert said_until_ready(
        Agent([None, state("forming", "checking", None), loading, loading, state("ready", "serving", "serving")])
    ) == [
        "waiting for the agent: nobody there",
        "replica a: forming, 1 of 2 ranks checking, 1 of 2 ranks unheard of",
        "replica a: loading, 1 of 2 ranks loading, 1 of 2 ranks serving",
        "replica a: ready, 2 of 2 ranks serving",
    ]


def test_an_agent_of_an_older_release_does_not_answer_for_a_new_one():
    assert said_until_ready(Agent([state("ready", release="r0"), state("ready")]))[0] == (
        "waiting for the agent of release r1; r0 still answers"
    )


def test_a_machine_that_conducts_nothing_only_has_to_answer():
    assert said_until_ready(Agent([machine(1)])) == ["the agent on mac-2 answers; no replica is conducted here"]


def test_breaking_ends_the_waiting_with_the_reason():
    agent = Agent([state("forming"), state("broken", reason="no such weights")])

    with pytest.raises(NotReady, match="replica 'a' is broken: no such weights"):
        said_until_ready(agent)
    assert agent.begun_afresh == 0


def test_a_replica_that_was_broken_before_begins_afresh_once():
    agent = Agent([state("broken"), state("broken"), state("forming"), state("broken", generation=2)])

    with pytest.raises(NotReady):
        said_until_ready(agent)
    assert agent.begun_afresh == 1


def test_the_end_of_patience_says_how_far_it_came():
    with pytest.raises(NotReady) as not_ready:
        said_until_ready(Agent([state("failed", None, reason="mac-2's agent does not answer")]))

    assert str(not_ready.value) == (
        "cannot wait longer: not ready after 30 seconds. "
        "replica a: failed, 1 of 1 ranks unheard of (mac-2's agent does not answer)"
    )


def test_a_replica_that_is_ready_and_held_back_by_order_is_proven_and_the_line_says_who_holds_it():
    assert said_until_ready(Agent([state("draining", "serving", "serving", reason="drained by 'x'")])) == [
        "replica a: draining, 2 of 2 ranks serving (drained by 'x')"
    ]


def held(agent: Agent, seconds: float, most: float = 30) -> list[tuple[str, float]]:
    """What is ordered of an agent whose replica is waited for and held back meanwhile."""
    clock = Clock()
    with suppress(NotReady):
        wait(agent, "r1", most, say=lambda _: None, clock=clock, pause=clock.pause, held=Held("deploy", seconds))
    return agent.drained


def test_one_that_is_held_back_meanwhile_is_drained_before_it_is_ready():
    assert held(Agent([state("loading", "loading", "loading"), state("draining", "serving", "serving")]), 60) == [
        ("deploy", 60)
    ]


def test_holding_it_back_is_renewed_as_long_as_it_is_waited_for():
    assert held(Agent([state("loading", "loading", "loading")]), 10, most=12) == [("deploy", 10)] * 3


def test_an_agent_that_is_away_is_told_as_soon_as_it_is_there():
    assert held(Agent([None, None, state("ready", "serving", "serving")]), 60) == [("deploy", 60)]


def let_go(rate: float | None, until_speed: float | None) -> tuple[list[str | None], str]:
    """Who ends its drain when it is ready and generates so fast, and the last that is said."""
    agent, clock = Agent([state("draining", "serving", "serving")], rate), Clock()
    said: list[str] = []
    held = Held("deploy", 60, until_speed)
    wait(agent, "r1", 30, say=said.append, clock=clock, pause=clock.pause, held=held)
    return agent.readmitted, said[-1]


def test_one_that_is_held_until_it_is_fast_enough_takes_requests_at_once():
    assert let_go(40.0, until_speed=40) == (["deploy"], '{"tokens_per_second": 40.0, "of": "40"}')


def test_one_that_is_slower_stays_held_and_tells_how_slow_it_is():
    assert let_go(39.9, until_speed=40) == ([], '{"tokens_per_second": 39.9, "of": "40"}')


def test_one_whose_speed_nobody_knows_stays_held():
    assert let_go(None, until_speed=40) == ([], "its speed is not known: nobody can tell")


def test_one_is_not_let_go_by_its_speed_unless_it_is_wanted():
    assert let_go(40.0, until_speed=None)[0] == []


def test_nobody_is_held_back_unless_it_is_wanted():
    agent = Agent([state("ready", "serving", "serving")])
    said_until_ready(agent)

    assert agent.drained == []
