"""Two real agents on loopback, at 127.0.0.1 and 127.0.0.2, with everything they read written for them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from serving.agent.local import LocalAgent
from serving.agent.status import wait
from serving.api import AgentState, RankReport
from serving.boot import boot_session
from serving.configuration import AgentConfiguration, Member, ReplicaConfiguration
from serving.declared import Golden
from serving.links.report import CableEnd, CableReport
from serving.weights import manifest
from tests.plain import PLAIN
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

ADDRESSES = ("127.0.0.1", "127.0.0.2")
MACHINES = ("mac-1", "mac-2")
AGENT_PORT, RANK_PORT, RING_PORT = 17440, 17441, 17442
TOKEN = "sesame"


@dataclass
class Machine:
    """One machine's directories and its agent."""

    directory: Path
    configuration: AgentConfiguration
    process: Popen[bytes] | None = None

    def begin(self) -> None:
        """Start its agent; also again."""
        release = self.directory / "release-1"
        release.mkdir(exist_ok=True)
        path = release / "agent.json"
        path.write_text(self.configuration.model_dump_json())
        with (self.directory / "agent.log").open("ab") as log:
            self.process = Popen([sys.executable, "-m", "serving.agent.daemon", str(path)], stdout=log, stderr=log)

    def leave(self) -> None:
        """End its agent, and with it the rank."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(40)

    def signal(self, number: signal.Signals) -> None:
        """Send its agent a signal; after SIGKILL the agent is gone and its rank is not."""
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(10)

    def state(self) -> AgentState:
        return AgentState.model_validate_json(json.dumps(LocalAgent(self.configuration).told()))

    def rank(self) -> RankReport:
        report = self.state().rank
        assert report is not None
        return report

    def pid(self) -> int:
        """Of its rank."""
        status = self.rank().status
        assert status is not None
        return status.pid


@dataclass
class Pair:
    """The machines of one replica."""

    machines: tuple[Machine, Machine]

    def wait(self, seconds: float = 180) -> list[str]:
        """What was said until the replica was ready. Raises serving.agent.status.NotReady."""
        said: list[str] = []
        wait(LocalAgent(self.machines[0].configuration), "release-1", seconds, say=said.append)
        return said

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(
            f"http://{ADDRESSES[0]}:{AGENT_PORT}{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=120,
            **PLAIN,
        )


@contextmanager
def pair(directory: Path, weights: tuple[Path, Path] = (PATH, PATH), **changes: Any) -> Iterator[Pair]:
    """Both agents, running until the end."""
    declared = manifest(PATH)
    (directory / "token").write_text(f"{TOKEN}\n")
    machines = tuple(_machine(directory, rank, _replica(rank, declared, weights[rank], **changes)) for rank in range(2))
    running = Pair((machines[0], machines[1]))
    try:
        for machine in running.machines:
            machine.begin()
        yield running
    finally:
        for machine in running.machines:
            machine.leave()


def _replica(rank: int, declared: Any, weights: Path, **changes: Any) -> ReplicaConfiguration:
    told = ReplicaConfiguration(
        name="a",
        members=tuple(Member(machine=m, address=a) for m, a in zip(MACHINES, ADDRESSES, strict=True)),
        rank=rank,
        transport="ring",
        sharding="tensor",
        ring=tuple((f"{address}:{RING_PORT + n}",) for n, address in enumerate(ADDRESSES)),
        weights="cider-1",
        weights_directory=str(weights),
        manifest=declared,
        golden=Golden(question=GOLDEN_QUESTION, answer=GOLDEN_ANSWER),
        context_tokens=1024,
        slots=2,
        queue=8,
        wait_seconds=30,
        restarts=2,
        grace_seconds=30,
        rank_port=RANK_PORT,
    )
    return told.model_copy(update=changes)


def _machine(directory: Path, rank: int, replica: ReplicaConfiguration) -> Machine:
    own = directory / MACHINES[rank]
    for name in ("state", "log"):
        (own / name).mkdir(parents=True)
    report = CableReport(
        machine=MACHINES[rank],
        boot=boot_session(),
        peers={MACHINES[1 - rank]: CableEnd(interface="en5", address=ADDRESSES[rank], status="active")},
    )
    (own / "links.json").write_text(report.model_dump_json())
    return Machine(
        own,
        AgentConfiguration(
            cluster="test",
            machine=MACHINES[rank],
            address=ADDRESSES[rank],
            port=AGENT_PORT,
            token_file=str(directory / "token"),
            token_fingerprint="f",
            state_directory=str(own / "state"),
            log_directory=str(own / "log"),
            links_report=str(own / "links.json"),
            replica=replica,
        ),
    )
