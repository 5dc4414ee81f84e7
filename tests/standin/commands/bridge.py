"""`bridge0`, the Thunderbolt Bridge: which ports macOS holds in it.

Every boot starts with all Thunderbolt ports in the bridge, whatever was taken out before: configd enslaves them
again. While a port is a member its interface is kept down here, so that no frame passes and no loop can form on the
machine that hosts the stand-ins; the commands show a member as macOS does, up and promiscuous.
"""

from __future__ import annotations

from tests.standin.commands.boot_state import keep, recall
from tests.standin.mac import Mac

NAME = "bridge0"


def members(mac: Mac) -> list[str]:
    """The interfaces in the bridge, in order of joining."""
    ports = mac.machine.ports
    return recall(mac, NAME, [ports[receptacle] for receptacle in sorted(ports)])


def release(mac: Mac, interface: str) -> None:
    """Take a member out; it is left down."""
    keep(mac, NAME, [member for member in members(mac) if member != interface])
    mac.network.lower_port(interface)


def enslave(mac: Mac, interface: str) -> None:
    """Put a port (back) in."""
    keep(mac, NAME, [*members(mac), interface])
    mac.network.lower_port(interface)


def has_link(mac: Mac, interface: str) -> bool:
    """`status: active`: a member has it with a cable in, any other interface with carrier."""
    if interface not in members(mac):
        return mac.network.has_carrier(interface)
    receptacles = {port: receptacle for receptacle, port in mac.machine.ports.items()}
    return mac.read_rack().across(mac.name, receptacles[interface]) is not None
