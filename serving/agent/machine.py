"""The agent of one machine as a Keeper: what the conductor asks of it, whether over HTTP or directly."""

from __future__ import annotations

import json
from pathlib import Path

from serving.agent.rank_process import RankProcess
from serving.api import AgentState, agreement
from serving.configuration import AgentConfiguration, ReplicaConfiguration
from serving.errors import StartRefused
from serving.links.report import read_report, unusable
from serving.rank.status import RankSpec, replace
from serving.transport import device_matrix


class Agent:
    """The keeper of this machine's rank."""

    def __init__(self, configuration: AgentConfiguration, release: str, boot: str) -> None:
        self._configuration = configuration
        self._release = release
        self._boot = boot
        self._directory = Path(configuration.state_directory)
        self._rank = RankProcess(self._directory, Path(configuration.log_directory) / "rank.log")
        self._agreement = None if configuration.replica is None else agreement(configuration.replica)

    async def state(self) -> AgentState:
        """What there is to say now."""
        self._rank.trim_log()
        return AgentState(
            machine=self._configuration.machine,
            boot=self._boot,
            release=self._release,
            agreement=self._agreement,
            unable=self._unable(),
            rank=self._rank.report(),
        )

    async def start(self, generation: int) -> None:
        """Start the rank of a generation. Raises StartRefused or TransportRefused."""
        replica, machine = self._replica(), self._configuration.machine
        unable = self._unable()
        if unable:
            raise StartRefused(f"cannot start generation {generation} on {machine}: {unable}.")
        self._rank.start(
            RankSpec(
                machine=machine,
                generation=generation,
                replica=replica,
                transport_file=self._transport_file(replica),
                status_file=str(self._rank.status_file),
                tick_file=str(self._rank.tick_file),
            )
        )

    async def let_in(self, generation: int) -> None:
        """Let the rank of a generation join the others. Raises StartRefused."""
        self._rank.let_in(generation)

    async def stop(self) -> None:
        """Begin to end whatever rank lives here."""
        self._rank.stop()

    async def leave(self) -> None:
        """End whatever rank lives here, and wait for that."""
        await self._rank.stop()

    def _replica(self) -> ReplicaConfiguration:
        if self._configuration.replica is None:
            raise StartRefused(f"cannot start a rank on {self._configuration.machine}: it belongs to no replica.")
        return self._configuration.replica

    def _unable(self) -> str:
        replica = self._configuration.replica
        if replica is None:
            return ""
        report = read_report(Path(self._configuration.links_report), self._boot)
        return unusable(replica, self._configuration.machine, report)

    def _transport_file(self, replica: ReplicaConfiguration) -> str | None:
        if replica.transport is None:
            return None
        path = self._directory / "transport.json"
        replace(path, json.dumps(self._ring_or_matrix(replica, replica.transport)))
        return str(path)

    def _ring_or_matrix(self, replica: ReplicaConfiguration, transport: str) -> object:
        if transport == "ring":
            return replica.ring
        report = read_report(Path(self._configuration.links_report), self._boot)
        devices = {} if report is None else report.rdma_devices()
        return device_matrix(transport, replica.rank, [member.machine for member in replica.members], devices)
