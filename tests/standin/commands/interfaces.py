"""The interfaces macOS lists: Ethernet, the Thunderbolt ports, the bridge, and those with nothing behind them.

A Mac always shows Wi-Fi and a phantom "Ethernet Adapter" of its own USB controller; here both are without a link.
"""

from __future__ import annotations

from tests.standin.commands import bridge
from tests.standin.commands.hardware import identifier
from tests.standin.mac import Mac

ETHERNET = "en0"
WIFI = "en1"
LOOPBACK = "lo0"


def thunderbolt_ports(mac: Mac) -> dict[str, int]:
    """Interface -> receptacle, by receptacle."""
    return {port: receptacle for receptacle, port in sorted(mac.machine.ports.items())}


def phantom(mac: Mac) -> str:
    """The interface of the adapter that is not there, numbered after the last real one."""
    return f"en{max(int(name.removeprefix('en')) for name in (WIFI, *thunderbolt_ports(mac))) + 1}"


def without_hardware(mac: Mac) -> list[str]:
    """Interfaces that are listed and can do nothing."""
    return [name for name in (WIFI, phantom(mac)) if name not in thunderbolt_ports(mac)]


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
