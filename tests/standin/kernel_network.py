"""The Mac's interfaces in the Linux kernel.

A port has two halves. Inside macOS is the interface (`en4`), outside is the receptacle it stands on
(`thunderbolt-3`), one end of a veth pair whose other end is the neighbour's receptacle. The receptacle comes up when
macOS has brought its interface up and a cable is in; only then do both neighbours have carrier. A pulled cable takes
the receptacles down and leaves the interfaces, with their addresses, as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from tests.standin.addresses import Addresses
from tests.standin.links import Links
from tests.standin.mac import Rack
from tests.standin.netfilter import PacketFilter
from tests.standin.packet_filter import FilterRule

ETHERNET = "en0"
SETTLING_SECONDS = 3.0  # from `ifconfig en4 up` to `status: active`


def receptacle_name(number: int) -> str:
    """The outer half of a Thunderbolt port."""
    return f"thunderbolt-{number}"


def connect(receptacles: Links, inside: Links, rack: Rack, name: str, number: int) -> None:
    """Bring a receptacle into the state that its interface and its cable ask for."""
    interface = rack.machines[name].ports[number]
    wanted = inside.is_up(interface) and rack.across(name, number) is not None
    receptacles.set_up(receptacle_name(number), wanted)


class KernelNetwork:
    """`mac.Network` for one running Mac; lives in its network namespace and in its event loop."""

    def __init__(self, name: str, read_rack: Callable[[], Rack], receptacles: Links) -> None:
        self._name = name
        self._read_rack = read_rack
        self._receptacles = receptacles
        self._inside = Links()
        self._addresses = Addresses()
        self._filter = PacketFilter()
        self._settling: dict[int, asyncio.TimerHandle] = {}

    def raise_port(self, interface: str) -> None:
        """Bring an interface up; on a Thunderbolt port carrier settles three seconds later."""
        was_up = self._inside.is_up(interface)
        self._inside.set_up(interface, True)
        number = self._receptacle(interface)
        if number is not None and not was_up:
            self._settle_later(number)

    def lower_port(self, interface: str) -> None:
        """Bring an interface down, and the neighbour's carrier with it."""
        self._inside.set_up(interface, False)
        number = self._receptacle(interface)
        if number is not None:
            self._forget_settling(number)
            self._receptacles.set_up(receptacle_name(number), False)

    def add_address(self, interface: str, address: str, prefix: int) -> None:
        """Give an interface an IPv4 address."""
        self._addresses.add(self._inside.index(interface), address, prefix)

    def remove_address(self, interface: str, address: str) -> None:
        """Take an IPv4 address away."""
        self._addresses.remove(self._inside.index(interface), address)

    def addresses(self, interface: str) -> list[tuple[str, int]]:
        """(IPv4 address, prefix length) in order of assignment."""
        return self._addresses.of(self._inside.index(interface))

    def is_up(self, interface: str) -> bool:
        """Whether it is administratively up."""
        return self._inside.is_up(interface)

    def has_carrier(self, interface: str) -> bool:
        """Whether a live cable answers at the other end, once settled."""
        return self._inside.has_carrier(interface)

    def mac_address(self, interface: str) -> str:
        """The hardware address, lower case with colons."""
        return self._inside.mac_address(interface)

    def enforce_filter(self, rules: Sequence[FilterRule], tables: Mapping[str, Sequence[str]], generation: int) -> None:
        """Let these rules decide what comes in."""
        self._filter.enforce(rules, tables, generation)

    def lift_filter(self) -> None:
        """Let everything in."""
        self._filter.lift()

    def _receptacle(self, interface: str) -> int | None:
        ports = self._read_rack().machines[self._name].ports
        return next((number for number, port in ports.items() if port == interface), None)

    def _settle_later(self, number: int) -> None:
        self._forget_settling(number)
        loop = asyncio.get_running_loop()
        self._settling[number] = loop.call_later(SETTLING_SECONDS, self._settle, number)

    def _settle(self, number: int) -> None:
        connect(self._receptacles, self._inside, self._read_rack(), self._name, number)

    def _forget_settling(self, number: int) -> None:
        if timer := self._settling.pop(number, None):
            timer.cancel()
