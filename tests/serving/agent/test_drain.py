"""The commands that take a replica out of service and back: an agent that says one thing after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from serving.agent.drain import StillWorking, order, wait
from serving.errors import AgentUnreachable, OrderUnknown
from tests.serving.agent.test_status import Clock


class Agent:
    """Says one thing after another, the last for ever."""

    def __init__(self, sayings: Iterable[dict[str, Any] | None]) -> None:
        self._sayings = list(sayings)
        self.ordered: list[tuple[str, float]] = []
        self.is_old, self.from_restart = False, False

    def told(self) -> dict[str, Any]:
        saying = self._sayings.pop(0) if len(self._sayings) > 1 else self._sayings[0]
        if saying is None:
            raise AgentUnreachable("nobody there")
        return saying

    def drain(self, by: str, seconds: float, *, from_restart: bool = False) -> None:
        if from_restart and self.is_old:
            raise OrderUnknown("it answered 400")
        self.ordered.append((by, seconds))
        self.from_restart = from_restart


def state(name: str, in_flight: int, queued: int = 0) -> dict[str, Any]:
    replica = {"name": "a", "state": name, "reason": "drained by 'deploy'", "notice": ""}
    return {"replica": replica, "endpoint": {"in_flight": in_flight, "queued": queued}}


def waited(agent: Agent, lease: float = 60, most: float = 30) -> list[str]:
    said: list[str] = []
    clock = Clock()
    wait(agent, "deploy", lease, most, say=said.append, clock=clock, pause=clock.pause)
    return said


def test_it_waits_until_nothing_is_under_way_and_says_each_change_once():
    busy = state("draining", 2, 1)

    assert waited(Agent([busy, busy, state("draining", 1), state("draining", 0)])) == [
        "replica a: draining, 2 requests under way, 1 in the queue (drained by 'deploy')",
        "replica a: draining, 1 requests under way, 0 in the queue (drained by 'deploy')",
        "replica a: draining, 0 requests under way, 0 in the queue (drained by 'deploy')",
    ]


def test_an_agent_that_is_away_for_a_moment_is_waited_for():
    assert len(waited(Agent([None, state("draining", 0)]))) == 2


def test_a_replica_that_is_not_ready_anyway_has_nothing_to_wait_for():
    assert "failed" in waited(Agent([state("failed", 0)]))[0]


def test_the_end_of_patience_says_what_is_under_way():
    with pytest.raises(StillWorking, match=r"are under way after 30 seconds\. replica a: draining, 1 requests"):
        waited(Agent([state("draining", 1)]))


def test_the_drain_is_renewed_for_as_long_as_it_is_waited_for():
    agent = Agent([state("draining", 1)])

    with pytest.raises(StillWorking):
        waited(agent, lease=20, most=35)
    assert agent.ordered == [("deploy", 20)] * 3


@pytest.mark.parametrize("is_old", [False, True])
def test_an_agent_that_cannot_wait_for_its_restart_is_drained_at_once_which_is_said(is_old: bool):
    agent, said = Agent([None]), list[str]()
    agent.is_old = is_old
    order(agent, "deploy", 60, from_restart=True, say=said.append)

    assert (agent.ordered, agent.from_restart) == ([("deploy", 60)], not is_old)
    assert [line.startswith("this agent's release cannot") for line in said] == [True] * is_old
