"""What the links daemon found and did, as it leaves it for the agent; and what a rank needs of it.

Daemon and agent may be of different releases for a while, so what a reader does not know it passes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared
from serving.transport import peers


class _Told(Declared):
    model_config = ConfigDict(extra="ignore")


class CableEnd(_Told):
    """This machine's end of one cable."""

    interface: str | None
    """None when macOS lists no interface for the declared port."""
    address: str
    status: Literal["active", "inactive", "missing"]
    """`active` only when there is carrier and the address is on the interface."""
    problem: str = ""
    facing: str | None = None
    """Thunderbolt domain of the Mac's port at the other end, when there is one."""


class Did(_Told):
    """One change that was made, and when (UTC)."""

    at: str
    what: str


class CableReport(_Told):
    """All cables of one machine, by the name of the peer; and what else of it is looked after."""

    machine: str
    boot: str
    peers: Mapping[str, CableEnd]
    release: str = ""
    state: Literal["confirmed", "unconfirmed", "reverted"] = "unconfirmed"
    deadline: str | None = None
    """Until when an unconfirmed release may have changed things (UTC)."""
    settled: bool = False
    """Nothing is waited for; what is left to be changed could not be, and is among the problems."""
    since: str = ""
    """When this daemon began (UTC)."""
    changes: int = 0
    """How many changes this daemon has made."""
    filter: Literal["on", "off", "not managed", "cannot tell"] = "not managed"
    """`on` only when our rules are in force."""
    wired_limit_mb: int | None = None
    """As it is, when it is declared and can be told."""
    did: tuple[Did, ...] = Field(default=(), strict=False)
    """The last changes, oldest first."""
    problems: tuple[str, ...] = Field(default=(), strict=False)

    def rdma_devices(self) -> dict[str, str]:
        """For each peer the RDMA device that macOS pairs with the interface facing it."""
        return {peer: f"rdma_{end.interface}" for peer, end in self.peers.items() if end.interface is not None}


def read_report(path: Path, boot: str) -> CableReport | None:
    """The report of this boot, or None while there is none."""
    try:
        report = CableReport.model_validate_json(path.read_text())
    except (FileNotFoundError, UnicodeDecodeError, ValidationError):
        return None
    return report if report.boot == boot else None


def unusable(replica: ReplicaConfiguration, machine: str, report: CableReport | None) -> str:
    """Why the cables do not let this machine's rank join the others, or nothing when they do."""
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
