"""A Mac on the desk: every command can be tried on it without namespaces, cables or SSH.

Its network is a small table that keeps the rules a kernel keeps: unknown interfaces and addresses are refused with
their errno, and an interface has carrier only while it and the interface across the cable are both up.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.standin.commands import COMMANDS
from tests.standin.launchd import Launchd
from tests.standin.mac import Boot, Cable, Call, Mac, Machine, Memory, Rack, Reply
from tests.standin.packet_filter import FilterRule

STUDIO = Machine(
    name="mac-1",
    address="10.77.0.11",
    title="Mac Studio",
    model="Mac15,14",
    chip="Apple M3 Ultra",
    memory_bytes=512 * 2**30,
    thunderbolt=5,
    ports={receptacle: f"en{receptacle + 1}" for receptacle in range(1, 7)},
)
PEER = replace(STUDIO, name="mac-2", address="10.77.0.12")
BOOT = Boot("6F1C7B5E-0B7A-4E0C-9C37-0D6E4C1A2B3F", 1790153387, 566452)
ADMIN = 501


@dataclass
class Interface:
    """One row of the table."""

    mac: str
    up: bool = False
    cabled: bool = False
    addresses: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])


class DeskNetwork:
    """`mac.Network` in memory; carrier settles at once."""

    def __init__(self, interfaces: dict[str, Interface]) -> None:
        self.interfaces = interfaces
        self.filter: list[FilterRule] | None = None
        self.filter_tables: dict[str, list[str]] = {}
        self.filter_generation = 0

    def _row(self, interface: str) -> Interface:
        if interface not in self.interfaces:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), interface)
        return self.interfaces[interface]

    def raise_port(self, interface: str) -> None:
        self._row(interface).up = True

    def lower_port(self, interface: str) -> None:
        self._row(interface).up = False

    def add_address(self, interface: str, address: str, prefix: int) -> None:
        row = self._row(interface)
        if (address, prefix) in row.addresses:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), interface)
        row.addresses.append((address, prefix))

    def remove_address(self, interface: str, address: str) -> None:
        row = self._row(interface)
        kept = [held for held in row.addresses if held[0] != address]
        if kept == row.addresses:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL), interface)
        row.addresses = kept

    def addresses(self, interface: str) -> list[tuple[str, int]]:
        return list(self._row(interface).addresses)

    def is_up(self, interface: str) -> bool:
        return self._row(interface).up

    def has_carrier(self, interface: str) -> bool:
        row = self._row(interface)
        return row.up and row.cabled

    def mac_address(self, interface: str) -> str:
        return self._row(interface).mac

    def enforce_filter(self, rules: Sequence[FilterRule], tables: Mapping[str, Sequence[str]], generation: int) -> None:
        self.filter_generation = generation
        self.filter, self.filter_tables = list(rules), {name: list(held) for name, held in tables.items()}

    def lift_filter(self) -> None:
        self.filter = None


class Desk:
    """One Mac, `mac-1`, whose receptacle 2 is cabled to receptacle 3 of its peer `mac-2`."""

    def __init__(self, directory: Path, machine: Machine = STUDIO, peer: Machine = PEER) -> None:
        self.rack = Rack({"mac-1": machine, "mac-2": peer}, (Cable((("mac-1", 2), ("mac-2", 3))),))
        self.powered: list[str] = []
        rows = {"en0": Interface("02:00:00:00:00:10", up=True, cabled=True, addresses=[(machine.address, 24)])}
        for receptacle, interface in machine.ports.items():
            rows[interface] = Interface(f"36:10:0f:92:66:{0x40 + receptacle:02x}", cabled=receptacle == 2)
        self.network = DeskNetwork(rows)
        memory = Memory(directory / "memory")
        daemons = directory / "LaunchDaemons"
        daemons.mkdir(parents=True, exist_ok=True)
        self.mac = Mac(
            name="mac-1",
            read_rack=lambda: self.rack,
            memory=memory,
            network=self.network,
            boot=BOOT,
            launchd=Launchd(memory, daemons),
            power=self.powered.append,
        )

    def change(self, name: str = "mac-1", **machine: object) -> None:
        """Other hardware, or a fault in it, from now on."""
        changed = replace(self.rack.machines[name], **machine)
        self.rack = replace(self.rack, machines={**self.rack.machines, name: changed})

    def recable(self, **cable: object) -> None:
        """Another cable, or none, between the two Macs."""
        self.rack = replace(self.rack, cables=(replace(self.rack.cables[0], **cable),))

    def reboot(self) -> None:
        """Start macOS anew: memory stays, interfaces come up bare."""
        self.mac.boot = Boot("0D2A9C44-7A43-4A0B-8B1B-5C9A3E0F1D22", BOOT.seconds + 600, 1)
        for name, row in self.network.interfaces.items():
            row.up = name == "en0"
            row.addresses = [held for held in row.addresses if name == "en0"]
        self.network.filter = None

    async def ask(self, *argv: str, uid: int = ADMIN, stdin: bytes = b"") -> Reply:
        """Call a command by its full path."""
        reply = COMMANDS[argv[0]](self.mac, Call(list(argv), uid, io.BytesIO(stdin)))
        return await reply if inspect.isawaitable(reply) else reply

    def run(self, *argv: str, uid: int = ADMIN, stdin: bytes = b"") -> Reply:
        """Call a command that waits for nothing, outside any event loop."""
        reply = COMMANDS[argv[0]](self.mac, Call(list(argv), uid, io.BytesIO(stdin)))
        if inspect.isawaitable(reply):
            raise TypeError(f"cannot run {argv[0]} here: it waits. Use `await desk.ask(...)`.")
        return reply

    def sudo(self, *argv: str) -> Reply:
        """Call a command as root."""
        return self.run(*argv, uid=0)


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait until real processes have brought something about; nothing announces it, so it is looked at."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
