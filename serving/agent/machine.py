"""The agent of one machine as a Keeper: what the conductor asks of it, whether over HTTP or directly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from serving.agent import memory
from serving.agent.domains import COUNT, LedgerFile, exhausted, parse_count
from serving.agent.rank_process import RankProcess
from serving.api import AgentState, Pressure, RankReport, agreement
from serving.configuration import AgentConfiguration, ReplicaConfiguration
from serving.errors import StartRefused
from serving.links.report import read_report, unusable
from serving.rank.status import RankSpec, replace
from serving.transport import device_matrix

_LOOK_SECONDS = 5.0
_ROOM_BYTES = 65536
"""More than all that the start of a rank writes."""


class Agent:
    """The keeper of this machine's rank. `software` names what all ranks of a replica must have the same."""

    def __init__(self, configuration: AgentConfiguration, release: str, boot: str, software: str = "") -> None:
        self._configuration = configuration
        self._release = release
        self._boot = boot
        self._directory = Path(configuration.state_directory)
        replica = configuration.replica
        self._rank = RankProcess(
            self._directory,
            Path(configuration.log_directory) / "rank.log",
            boot=boot,
            grace_seconds=0 if replica is None else replica.grace_seconds,
        )
        self._ledger = LedgerFile(self._directory / "domains.json", boot)
        self._uses_rdma = replica is not None and replica.transport in ("jaccl", "jaccl-ring")
        self._held: int | None = None
        self._pressure: Pressure | None = None
        self._full = ""
        self.agreement = None if replica is None else agreement(replica, software)

    async def state(self) -> AgentState:
        """What there is to say now."""
        self._rank.trim_log()
        rank = self._report()
        return AgentState(
            machine=self._configuration.machine,
            boot=self._boot,
            release=self._release,
            agreement=self.agreement,
            unable=self._unable(),
            unable_to_join=self._unable_to_join(),
            pressure=self._pressure,
            domains=self._ledger.ledger.report() if self._uses_rdma else None,
            rank=rank,
        )

    async def look_after(self) -> None:
        """Look every few seconds at what takes longer than an answer may, until cancelled."""
        while True:
            pid = self._rank.pid()
            if pid is not None:
                # What it held stays known when it is gone.
                self._held = memory.held(pid) or self._held
            self._pressure = await memory.pressure()
            if self._uses_rdma:
                await self._count_domains()
            await asyncio.sleep(_LOOK_SECONDS)

    async def start(self, generation: int) -> None:
        """Start the rank of a generation. Raises StartRefused or TransportRefused."""
        replica, machine = self._replica(), self._configuration.machine
        self._report()
        unable = self._unable()
        what = f"cannot start generation {generation} on {machine}"
        if unable:
            raise StartRefused(f"{what}: {unable}.")
        with self._told_of_a_full_disk(what):
            self._start(generation, replica)

    async def let_in(self, generation: int) -> None:
        """Let the rank of a generation join the others. Raises StartRefused or TransportRefused."""
        replica, unable = self._replica(), self._unable_to_join()
        what = f"cannot let generation {generation} in on {self._configuration.machine}"
        if unable:
            raise StartRefused(f"{what}: {unable}.")
        with self._told_of_a_full_disk(what):
            self._write_transport(replica)
        if self._uses_rdma and self._rank.lives():
            self._ledger.write(self._ledger.ledger.let_in(generation))
        self._rank.let_in(generation)

    async def stop(self) -> None:
        """Begin to end whatever rank lives here."""
        self._rank.stop()

    async def leave(self) -> None:
        """End whatever rank lives here, and wait for that."""
        await self._rank.stop()
        self._report()

    def _start(self, generation: int, replica: ReplicaConfiguration) -> None:
        self._held = None
        self._rank.start(
            RankSpec(
                machine=self._configuration.machine,
                generation=generation,
                replica=replica,
                transport_file=None if replica.transport is None else str(self._transport_file),
                status_file=str(self._rank.status_file),
                tick_file=str(self._rank.tick_file),
            ),
            self.agreement,
        )

    def _report(self) -> RankReport | None:
        report = self._rank.report()
        self._ledger.write(self._ledger.ledger.ended(report, stopped=self._rank.stopped))
        return None if report is None else report.model_copy(update={"memory_bytes": self._held})

    def _replica(self) -> ReplicaConfiguration:
        if self._configuration.replica is None:
            raise StartRefused(f"cannot start a rank on {self._configuration.machine}: it belongs to no replica.")
        return self._configuration.replica

    def _unable(self) -> str:
        replica, machine = self._configuration.replica, self._configuration.machine
        if replica is None:
            return ""
        if self._full and self._has_room():
            self._full = ""
        spent = exhausted(machine, self._ledger.ledger) if self._uses_rdma else ""
        return "; ".join(text for text in (spent, self._full) if text)

    def _unable_to_join(self) -> str:
        replica, machine = self._configuration.replica, self._configuration.machine
        if replica is None:
            return ""
        return unusable(replica, machine, read_report(Path(self._configuration.links_report), self._boot))

    @contextmanager
    def _told_of_a_full_disk(self, what: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            self._full = (
                f"{self._configuration.machine} cannot write {error.filename}: {error.strerror}. Make room there"
            )
            raise StartRefused(f"{what}: {self._full}.") from error

    def _has_room(self) -> bool:
        probe = self._directory / "room"
        try:
            probe.write_bytes(bytes(_ROOM_BYTES))
        except OSError:
            return False
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        return True

    async def _count_domains(self) -> None:
        ledger = self._ledger.ledger
        if not ledger.unclean or ledger.held_at_most is not None or self._rank.lives():
            return
        number = parse_count(await memory.said(*COUNT) or "")
        if number is not None and not self._rank.lives():
            self._ledger.write(self._ledger.ledger.counted(number))

    @property
    def _transport_file(self) -> Path:
        return self._directory / "transport.json"

    def _write_transport(self, replica: ReplicaConfiguration) -> None:
        """Which devices there are is known when the cables are up, and read when the ranks join."""
        if replica.transport is not None:
            replace(self._transport_file, json.dumps(self._ring_or_matrix(replica, replica.transport)))

    def _ring_or_matrix(self, replica: ReplicaConfiguration, transport: str) -> object:
        if transport == "ring":
            return replica.ring
        report = read_report(Path(self._configuration.links_report), self._boot)
        devices = {} if report is None else report.rdma_devices()
        return device_matrix(transport, replica.rank, [member.machine for member in replica.members], devices)
