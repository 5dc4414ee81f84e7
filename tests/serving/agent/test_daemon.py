"""Two real agents, two real ranks, one TCP ring over loopback."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from serving.agent import drain, readmit
from serving.agent.status import NotReady
from tests.serving.agents import ADDRESSES, AGENT_PORT, Machine, Pair, pair
from tests.serving.waiting import wait_until
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

CHAT = "/v1/chat/completions"
GOLDEN = {
    "model": "cider-1",
    "messages": [{"role": "user", "content": GOLDEN_QUESTION}],
    "temperature": 0,
    "max_tokens": 30,
}


def test_one_wrong_byte_of_weights_is_refused_with_its_name(tmp_path: Path):
    damaged = tmp_path / "damaged"
    shutil.copytree(PATH, damaged)
    with (damaged / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pair(tmp_path, (damaged, damaged)) as running, pytest.raises(NotReady) as refusal:
        running.wait()

    assert "replica 'a' is broken: " in str(refusal.value)
    assert "cannot serve 'cider-1' on mac-" in str(refusal.value)
    assert "model.safetensors has SHA-256" in str(refusal.value)


def test_a_transport_that_is_not_in_this_build_is_refused_with_its_name(tmp_path: Path):
    with (
        pair(tmp_path, transport="jaccl", ring=(), coordinator="127.0.0.1:17443") as running,
        pytest.raises(NotReady) as refusal,
    ):
        running.wait()

    assert "cannot use jaccl on mac-" in str(refusal.value)
    assert "jaccl is not in this MLX build (mlx 0.32.4, linux)" in str(refusal.value)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


def test_two_agents_make_one_ready_replica(running: Pair):
    assert running.wait()[-1] == "replica a: ready, 2 of 2 ranks serving"


def test_a_completion_comes_through_the_endpoint(running: Pair):
    running.wait()

    answer = running.post(CHAT, GOLDEN).json()

    assert answer["choices"][0]["message"]["content"].startswith(GOLDEN_ANSWER)
    assert answer["model"] == "cider-1"


def test_a_connection_that_idles_is_kept_for_longer_than_clients_keep_it(running: Pair):
    running.wait()
    httpx_keeps = 5.0
    with closing(HTTPConnection(ADDRESSES[0], AGENT_PORT)) as connection:
        connection.request("GET", "/live")
        connection.getresponse().read()
        connection.sock.settimeout(httpx_keeps + 1)

        with pytest.raises(TimeoutError):
            connection.sock.recv(1)


def test_what_would_end_every_rank_ends_none(running: Pair):
    running.wait()
    before = [machine.rank().status for machine in running.machines]

    statuses = [running.post(CHAT, GOLDEN | poison).status_code for poison in ({"stop": 5}, {"top_k": True})]
    statuses.append(running.post("/v1/completions", {"prompt": ""}).status_code)

    assert statuses == [400, 400, 400]
    assert running.post(CHAT, GOLDEN).status_code == 200
    assert [machine.rank().status for machine in running.machines] == before


def steps(machine: Machine) -> int:
    tick = machine.rank().tick
    return 0 if tick is None else tick.steps


def test_ticks_go_on_while_idle(running: Pair):
    running.wait()
    first = steps(running.machines[1])

    wait_until(lambda: steps(running.machines[1]) > first + 2)


def test_a_replica_that_lost_a_rank_forms_again(running: Pair):
    running.wait()
    status = running.machines[1].rank().status
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    wait_until(lambda: running.machines[0].rank().generation == status.generation + 1)
    said = running.wait()

    assert said[-1].startswith("replica a: ready")
    assert running.post(CHAT, GOLDEN).status_code == 200
    assert running.machines[1].rank().generation == status.generation + 1


def test_a_replica_is_drained_and_readmitted_by_command_and_stays_out_when_its_agent_begins_again(running: Pair):
    running.wait()
    first = running.machines[0]
    told = str(first.directory / "release-1" / "agent.json")
    drained = drain.main([told, "--by", "deploy", "--wait", "60"])
    refused = running.post(CHAT, GOLDEN)
    first.signal(signal.SIGKILL)
    first.begin()
    said = running.wait()

    assert (drained, refused.status_code, refused.json()["error"]["code"]) == (0, 503, "unavailable")
    assert said[-1].startswith("replica a: draining, 2 of 2 ranks serving (drained by 'deploy' until ")
    assert readmit.main([told, "--by", "deploy"]) == 0
    assert running.post(CHAT, GOLDEN).status_code == 200


def test_ranks_end_with_their_agents(running: Pair):
    pids = [status.pid for machine in running.machines if (status := machine.rank().status) is not None]
    for machine in running.machines:
        machine.leave()

    assert len(pids) == 2
    assert [state for pid in pids if (state := _state(pid)) not in ("", "Z", "X")] == []


def _state(pid: int) -> str:
    """Of a process, as the kernel has it. Who has ended is Z until whoever adopted it has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
