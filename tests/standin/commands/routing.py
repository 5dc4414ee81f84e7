"""`route -n get` and `ipconfig getifaddr`. A stand-in Mac has connected routes only, no default route."""

from __future__ import annotations

import ipaddress

from tests.standin.commands import bridge
from tests.standin.commands.interfaces import ETHERNET, LOOPBACK, assign_inet6, names, thunderbolt_ports
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

NO_ROUTE = "route: writing to routing socket: not in table"
METRICS = (
    " recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire",
    "       0         0         0         0         0         0      1500         0 ",
)


def route(mac: Mac, call: Call) -> Reply:
    """The route to an address, or `default`, which is never there."""
    if call.argv[1:3] != ["-n", "get"] or len(call.argv) != 4:
        return unsupported(call)
    if call.argv[3] == "default":
        return failure(NO_ROUTE, 1)
    try:
        destination = ipaddress.IPv4Address(call.argv[3])
    except ValueError:
        return failure(f"route: bad address: {call.argv[3]}", 68)
    for interface, held in _connected(mac):
        if destination in held.network:
            own = destination == held.ip
            return _found(destination, LOOPBACK if own else interface, own=own)
    return failure(NO_ROUTE, 1)


def ipconfig(mac: Mac, call: Call) -> Reply:
    """`getifaddr`: the first address of an interface, or nothing and 1; `set PORT AUTOMATIC-V6|NONE-V6` as root."""
    if call.argv[1:2] == ["set"]:
        return _set_inet6(mac, call)
    if len(call.argv) != 3 or call.argv[1] != "getifaddr":
        return unsupported(call)
    held = [str(one.ip) for interface, one in _connected(mac) if interface == call.argv[2]]
    return lines(held[0]) if held else Reply(code=1)


def _set_inet6(mac: Mac, call: Call) -> Reply:
    match call.argv[2:]:
        case [port, "AUTOMATIC-V6" | "NONE-V6" as method] if port in thunderbolt_ports(mac):
            if not call.is_root:
                return failure("ipconfig: set: Operation not permitted", 1)
            assign_inet6(mac, port, wanted=method == "AUTOMATIC-V6")
            return Reply()
        case _:
            return unsupported(call)


def _connected(mac: Mac) -> list[tuple[str, ipaddress.IPv4Interface]]:
    """(interface, address) wherever traffic can leave: up, and not a member of the bridge."""
    real = [name for name in names(mac) if name == ETHERNET or name in thunderbolt_ports(mac)]
    usable = [name for name in real if name not in bridge.members(mac) and mac.network.is_up(name)]
    return [
        (name, ipaddress.IPv4Interface(f"{address}/{prefix}"))
        for name in usable
        for address, prefix in mac.network.addresses(name)
    ]


def _found(destination: ipaddress.IPv4Address, interface: str, *, own: bool) -> Reply:
    flags = "<UP,HOST,DONE,LOCAL>" if own else "<UP,HOST,DONE,LLINFO,WASCLONED,IFSCOPE,IFREF>"
    head = (f"   route to: {destination}", f"destination: {destination}", f"  interface: {interface}")
    return lines(*head, f"      flags: {flags}", *METRICS)


COMMANDS: dict[str, Command] = {"/sbin/route": route, "/usr/sbin/ipconfig": ipconfig}
