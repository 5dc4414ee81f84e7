"""What the links daemon found and did, as it leaves it for the agent; and what a rank needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared
from serving.transport import peers


class CableEnd(Declared):
    """This machine's end of one cable."""

    interface: str | None
    """None when macOS lists no interface for the declared port."""
    address: str
    status: Literal["active", "inactive", "missing"]
    """`active` only when there is carrier and the address is on the interface."""
    problem: str = ""


class CableReport(Declared):
    """All cables of one machine, by the name of the peer."""

    machine: str
    boot: str
    peers: Mapping[str, CableEnd]

    def rdma_devices(self) -> dict[str, str]:
        """For each peer the RDMA device that macOS pairs with the interface facing it."""
        return {peer: f"rdma_{end.interface}" for peer, end in self.peers.items() if end.interface is not None}


def read_report(path: Path, boot: str) -> CableReport | None:
    """The report of this boot, or None while there is none."""
    try:
        report = CableReport.model_validate_json(path.read_text())
    except (FileNotFoundError, ValidationError):
        return None
    return report if report.boot == boot else None


def unusable(replica: ReplicaConfiguration, machine: str, report: CableReport | None) -> str:
    """Why the cables do not let this machine's rank start, or nothing when they do."""
    if replica.transport is None:
        return ""
    if report is None:
        return f"the links daemon on {machine} has not reported since this boot"
    needed = [
        replica.members[rank].machine for rank in sorted(peers(replica.transport, replica.rank, len(replica.members)))
    ]
    return "; ".join(text for peer in needed if (text := _unusable(machine, peer, report.peers.get(peer))))


def _unusable(machine: str, peer: str, end: CableEnd | None) -> str:
    if end is None:
        return f"no cable to {peer} is declared on {machine}"
    if end.status == "active":
        return ""
    return f"the cable from {machine} to {peer} is {end.status}" + (f": {end.problem}" if end.problem else "")
