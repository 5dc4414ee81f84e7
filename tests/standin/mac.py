"""What a stand-in Mac is to the commands that run on it.

The hardware is a file shared by the whole rack, outside every Mac, so that a fault put in there is seen at once
by the Mac and by its neighbours. What macOS itself remembers (accounts, power settings, disabled jobs) lives in
`Memory`, on the Mac's own disk, and survives a reboot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tests.standin.packet_filter import FilterRule

INSIDE = Path("/System/Standin")
"""Where a stand-in keeps its own machinery; nothing of the product ever looks there."""


@dataclass(frozen=True)
class Machine:
    """One Mac's hardware and macOS as it really is, whatever an inventory says of it."""

    name: str
    address: str
    title: str  # "Mac Studio"
    model: str  # "Mac15,14"
    chip: str  # "Apple M3 Ultra"
    memory_bytes: int
    thunderbolt: int  # 5, or 4
    ports: dict[int, str]  # receptacle -> interface: {1: "en2", ...}
    macos: str = "26.3"
    build: str = "25D125"
    rdma: bool = True
    disk_free_bytes: int = 1_500_000_000_000  # before anything was put on it
    clock_offset_seconds: int = 0  # how far its clock is ahead
    language: str = "en"  # or "de"
    offered: tuple[str, ...] = ()  # versions of macOS that Apple offers it
    update_ends: str = "well"  # or "as before": undone at its restart; or "without rdma"
    comes_back: bool = True  # from a restart

    def domain_uuid(self, receptacle: int) -> str:
        """The Thunderbolt domain of one port: stable, upper case, as system_profiler prints it."""
        import uuid

        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.{receptacle}.thunderbolt")).upper()


@dataclass(frozen=True)
class Cable:
    """One Thunderbolt cable: two ends of (machine, receptacle), its speed, whether it is in, and by way of a dock."""

    ends: tuple[tuple[str, int], tuple[str, int]]
    speed_gbps: int = 80
    present: bool = True
    dock: bool = False


@dataclass(frozen=True)
class Rack:
    """All Macs and cables; read afresh from `rack.json` for each command. `off`: which Macs have no power now."""

    machines: dict[str, Machine]
    cables: tuple[Cable, ...]
    off: frozenset[str] = frozenset()

    def across(self, name: str, receptacle: int) -> tuple[Machine, int, Cable] | None:
        """The machine, its receptacle and the cable at the other side of a port, if one with power is there."""
        for cable in self.cables:
            if not cable.present:
                continue
            for here, there in (cable.ends, cable.ends[::-1]):
                if here == (name, receptacle) and there[0] not in self.off:
                    return self.machines[there[0]], there[1], cable
        return None


@dataclass(frozen=True)
class Boot:
    """One start of macOS."""

    session_uuid: str  # kern.bootsessionuuid, upper case
    seconds: int  # kern.boottime
    microseconds: int


class Ending(IntEnum):
    """How macOS ends when it is asked to: the exit code of its resident process, read by the hardware."""

    OFF = 0
    REBOOT = 64


class Memory:
    """What macOS remembers across reboots: a small JSON file per subject on the Mac's own disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, subject: str, default: Any) -> Any:
        """The remembered value of a subject, or the default when nothing was ever written."""
        try:
            return json.loads((self.directory / f"{subject}.json").read_text())
        except FileNotFoundError:
            return default

    def write(self, subject: str, value: Any) -> None:
        """Remember a subject's value, atomically."""
        self.directory.mkdir(parents=True, exist_ok=True)
        new = self.directory / f".{subject}.new"
        new.write_text(json.dumps(value, indent=1, sort_keys=True))
        os.replace(new, self.directory / f"{subject}.json")


class Network(Protocol):
    """The Mac's interfaces as its kernel has them. Raises OSError with errno as the kernel would."""

    def raise_port(self, interface: str) -> None:
        """Bring an interface up; carrier settles about three seconds later."""
        ...

    def lower_port(self, interface: str) -> None:
        """Bring an interface down."""
        ...

    def add_address(self, interface: str, address: str, prefix: int) -> None:
        """Give an interface an IPv4 address."""
        ...

    def remove_address(self, interface: str, address: str) -> None:
        """Take an IPv4 address away."""
        ...

    def addresses(self, interface: str) -> list[tuple[str, int]]:
        """(IPv4 address, prefix length) in order of assignment."""
        ...

    def is_up(self, interface: str) -> bool:
        """Whether it is administratively up."""
        ...

    def has_carrier(self, interface: str) -> bool:
        """Whether a live cable answers at the other end, once settled."""
        ...

    def mac_address(self, interface: str) -> str:
        """The hardware address, lower case with colons."""
        ...

    def enforce_filter(self, rules: Sequence[FilterRule], tables: Mapping[str, Sequence[str]], generation: int) -> None:
        """Let these rules decide what comes in; connections let in under another generation are forgotten."""
        ...

    def lift_filter(self) -> None:
        """Let everything in."""
        ...


async def _nobody_listens(_: str) -> None:
    return


@dataclass(frozen=True)
class Call:
    """One invocation of a command: its full argv, who called, and the caller's standard input.

    `tell` prints on standard output while the command goes on; what the reply holds comes after it.
    """

    argv: list[str]
    uid: int
    stdin: BinaryIO
    environment: dict[str, str] = field(default_factory=dict)
    tell: Callable[[str], Awaitable[None]] = _nobody_listens

    @property
    def is_root(self) -> bool:
        """Whether the caller is the superuser."""
        return self.uid == 0


@dataclass(frozen=True)
class Reply:
    """What a command prints and its exit code."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


@dataclass
class Mac:
    """A running stand-in Mac as its commands see it."""

    name: str
    read_rack: Callable[[], Rack]
    memory: Memory
    network: Network
    boot: Boot
    launchd: Any  # tests.standin.launchd.Launchd
    power: Callable[[str], None]  # "reboot" or "off"

    @property
    def machine(self) -> Machine:
        """This Mac's hardware, read now."""
        return self.read_rack().machines[self.name]


Command = Callable[[Mac, Call], Reply | Awaitable[Reply]]
