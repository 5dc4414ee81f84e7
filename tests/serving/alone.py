"""One agent with one rank of the test weights on loopback, as launchd starts it: an endpoint that is ready."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from serving.agent.local import LocalAgent
from serving.agent.status import wait
from serving.boot import boot_session
from serving.configuration import AgentConfiguration, Member, ReplicaConfiguration
from serving.declared import Golden
from serving.links.report import CableReport
from serving.weights import manifest
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

TOKEN = "sesame"


@dataclass(frozen=True)
class Ports:
    """Of the endpoint and of mlx-lm behind it."""

    agent: int
    rank: int


@contextmanager
def agent(directory: Path, ports: Ports, *, seconds: float = 120, **changes: Any) -> Iterator[int]:
    """An agent whose replica is ready within so many seconds, with its one rank; `changes` are to its replica.

    Gives the agent's process id.
    """
    release = directory / "release-1"
    for path in (release, directory / "state", directory / "log"):
        path.mkdir(parents=True)
    (directory / "token").write_text(TOKEN)
    (directory / "links.json").write_text(CableReport(machine="mac-1", boot=boot_session(), peers={}).model_dump_json())
    configuration = _configuration(directory, ports, **changes)
    (release / "agent.json").write_text(configuration.model_dump_json())
    command = [sys.executable, "-m", "serving.agent.daemon", str(release / "agent.json")]
    with (directory / "agent.log").open("wb") as log:
        process = Popen(command, stdout=log, stderr=log)
        try:
            wait(LocalAgent(configuration), "release-1", seconds, say=print)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def _configuration(directory: Path, ports: Ports, **changes: Any) -> AgentConfiguration:
    replica = ReplicaConfiguration(
        name="a",
        members=(Member(machine="mac-1", address="127.0.0.1"),),
        rank=0,
        transport=None,
        sharding=None,
        weights="cider-1",
        weights_directory=str(PATH),
        manifest=manifest(PATH),
        golden=Golden(question=GOLDEN_QUESTION, answer=GOLDEN_ANSWER),
        context_tokens=1024,
        slots=8,
        queue=8,
        wait_seconds=30,
        restarts=2,
        grace_seconds=30,
        rank_port=ports.rank,
    )
    return AgentConfiguration(
        cluster="alone",
        machine="mac-1",
        address="127.0.0.1",
        port=ports.agent,
        token_file=str(directory / "token"),
        token_fingerprint="f",
        state_directory=str(directory / "state"),
        log_directory=str(directory / "log"),
        links_report=str(directory / "links.json"),
        replica=replica.model_copy(update=changes),
    )
