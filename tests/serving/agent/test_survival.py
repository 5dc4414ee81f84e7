"""What happens to one of two real agents or ranks, and what becomes of the replica."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

import httpx
import pytest

from serving.agent.daemon import software
from serving.errors import AgentUnreachable
from tests.plain import PLAIN
from tests.serving.agents import ADDRESSES, AGENT_PORT, TOKEN, Machine, Pair, pair
from tests.serving.waiting import wait_until
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION

GOLDEN = {
    "model": "cider-1",
    "messages": [{"role": "user", "content": GOLDEN_QUESTION}],
    "temperature": 0,
    "max_tokens": 30,
}
LONG = 120
"""Seconds; a machine that runs other things takes a while to begin a process."""

BOTH = pytest.mark.parametrize("rank", [0, 1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair"), restarts=20) as running:
        yield running


def pids(running: Pair) -> list[int]:
    return [machine.pid() for machine in running.machines]


def replica_state(running: Pair) -> str:
    replica = running.machines[0].state().replica
    assert replica is not None
    return replica.state


def answers(running: Pair) -> bool:
    answer = running.post("/v1/chat/completions", GOLDEN)
    return answer.json()["choices"][0]["message"]["content"].startswith(GOLDEN_ANSWER)


def ready(running: Pair) -> int:
    return httpx.get(
        f"http://{ADDRESSES[0]}:{AGENT_PORT}/ready",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
        **PLAIN,
    ).status_code


def why(running: Pair) -> str:
    replica = running.machines[0].state().replica
    assert replica is not None
    return replica.reason


def begun_again(running: Pair, rank: int) -> None:
    """Start its agent, and wait until it answers."""
    running.machines[rank].begin()
    wait_until(lambda: heard(running, rank), LONG)


def heard(running: Pair, rank: int) -> bool:
    try:
        running.machines[rank].state()
    except AgentUnreachable:
        return False
    return True


@BOTH
def test_a_rank_that_is_stopped_makes_all_begin_again(running: Pair, rank: int):
    running.wait()
    before = pids(running)
    assert ready(running) == 200
    os.kill(before[rank], signal.SIGSTOP)
    said_ready_while_stopped = ready(running)
    wait_until(lambda: replica_state(running) != "ready")
    reason = why(running)
    running.wait()

    assert said_ready_while_stopped == 503
    assert reason.startswith(f"rank {rank} on mac-{rank + 1} is stopped: a signal or a debugger holds its process")
    assert not set(before) & set(pids(running))
    assert answers(running)


@BOTH
def test_an_agent_that_was_killed_finds_its_rank_and_leaves_it_alone(running: Pair, rank: int):
    running.wait()
    before = pids(running)
    generation = running.machines[0].rank().generation
    running.machines[rank].signal(signal.SIGKILL)
    begun_again(running, rank)
    running.wait()

    assert pids(running) == before
    assert running.machines[rank].rank().generation == generation
    assert answers(running)


@BOTH
def test_an_agent_that_was_stopped_for_a_while_disturbs_nothing(running: Pair, rank: int):
    running.wait()
    before = pids(running)
    running.machines[rank].signal(signal.SIGSTOP)
    if rank == 1:
        wait_until(lambda: "mac-2's agent does not answer" in notice(running))
        assert ready(running) == 200
        assert answers(running)
    else:
        stopped_for(running.machines[0], 6)
    running.machines[rank].signal(signal.SIGCONT)
    wait_until(lambda: heard(running, rank) and notice(running) == "", LONG)

    assert replica_state(running) == "ready"
    assert pids(running) == before
    assert answers(running)


def stopped_for(machine: Machine, seconds: float) -> None:
    """There is nobody to ask while it lasts."""
    assert machine.process is not None
    with suppress(TimeoutExpired):
        machine.process.wait(seconds)


def notice(running: Pair) -> str:
    replica = running.machines[0].state().replica
    assert replica is not None
    return replica.notice


def test_a_rank_that_died_while_its_agent_was_away_is_formed_again(running: Pair):
    running.wait()
    before = pids(running)
    running.machines[1].signal(signal.SIGKILL)
    os.kill(before[1], signal.SIGKILL)
    begun_again(running, 1)
    wait_until(lambda: replica_state(running) != "ready")
    running.wait()

    assert not set(before) & set(pids(running))
    assert answers(running)


def test_a_second_agent_of_one_machine_waits_for_the_first(running: Pair):
    running.wait()
    before = pids(running)
    first = running.machines[0].process
    log = running.machines[0].directory / "log" / "agent.log"
    running.machines[0].begin()
    second = running.machines[0].process
    assert second is not None
    try:
        wait_until(lambda: "this one begins when it has ended" in log.read_text(), LONG)

        assert replica_state(running) == "ready"
        assert pids(running) == before
    finally:
        second.kill()
        second.wait()
        running.machines[0].process = first


def test_a_conductor_of_another_configuration_is_refused_by_a_real_agent(running: Pair):
    running.wait()
    before = pids(running)
    refused = httpx.request(
        "DELETE",
        f"http://{ADDRESSES[1]}:{AGENT_PORT}/rank",
        json={"agreement": "another"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
        **PLAIN,
    )

    assert (refused.status_code, refused.text) == (
        409,
        "mac-2 belongs to another configuration, release release-1.",
    )
    assert pids(running) == before


def test_software_is_named_by_what_a_release_links_to(tmp_path: Path):
    release = tmp_path / "agent-1"
    release.mkdir()
    (release / "software").symlink_to("/opt/software/software-2")
    (release / "environment").symlink_to("/opt/environments/node-1")
    (release / "agent.json").write_text("{}")

    assert software(release) == "node-1 software-2"
