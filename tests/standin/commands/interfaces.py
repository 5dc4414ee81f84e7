"""The interfaces macOS lists: Ethernet, the Thunderbolt ports, the bridge, and those with nothing behind them.

A Mac always shows Wi-Fi and a phantom "Ethernet Adapter" of its own USB controller; here both are without a link.
"""

from __future__ import annotations

import ipaddress

from tests.standin.commands import bridge
from tests.standin.commands.boot_state import keep, recall
from tests.standin.commands.hardware import identifier
from tests.standin.mac import Mac

ETHERNET = "en0"
WIFI = "en1"
LOOPBACK = "lo0"
INET6 = "inet6"
"""Kept for a boot: interface -> how many IPv4 addresses it had when it got its IPv6 address."""


def thunderbolt_ports(mac: Mac) -> dict[str, int]:
    """Interface -> receptacle, by receptacle."""
    return {port: receptacle for receptacle, port in sorted(mac.machine.ports.items())}


def phantom(mac: Mac) -> str:
    """The interface of the adapter that is not there, numbered after the last real one."""
    return f"en{max(int(name.removeprefix('en')) for name in (WIFI, *thunderbolt_ports(mac))) + 1}"


def without_hardware(mac: Mac) -> list[str]:
    """Interfaces that are listed and can do nothing."""
    return [name for name in (WIFI, phantom(mac)) if name not in thunderbolt_ports(mac)]


def assign_inet6(mac: Mac, interface: str, *, wanted: bool) -> None:
    """Give a port its link-local IPv6 address, after the addresses it has now, or take it away."""
    held = {port: place for port, place in recall(mac, INET6, {}).items() if port != interface}
    keep(mac, INET6, {**held, interface: len(mac.network.addresses(interface))} if wanted else held)


def with_inet6(mac: Mac, interface: str, rows: list[str], row: str) -> list[str]:
    """What there is for each IPv4 address, with that of the IPv6 address at its place in the order of assignment."""
    place = recall(mac, INET6, {}).get(interface)
    return rows if place is None else [*rows[:place], row, *rows[place:]]


def inet6_address(mac: Mac, interface: str) -> str:
    """The link-local address that macOS makes up for an interface; not the one made of its hardware address."""
    made_up = identifier(mac.machine, f"{interface}.inet6").bytes[:8]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + made_up))


def names(mac: Mac) -> list[str]:
    """Every interface, as `ifconfig -l` orders them."""
    numbered = {ETHERNET, *thunderbolt_ports(mac), *without_hardware(mac)}
    return [LOOPBACK, *sorted(numbered, key=lambda name: int(name.removeprefix("en"))), bridge.NAME]


def hardware_address(mac: Mac, interface: str) -> str:
    """The MAC address; the bridge has that of its first member, or of the first port when it has none."""
    if interface == bridge.NAME:
        interface = (bridge.members(mac) or list(thunderbolt_ports(mac)))[0]
    if interface in without_hardware(mac):
        digits = identifier(mac.machine, interface).hex[:10]
        return ":".join(["02", *(digits[start : start + 2] for start in range(0, 10, 2))])
    return mac.network.mac_address(interface)
