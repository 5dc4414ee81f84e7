"""`ifconfig`: reads every interface; brings Thunderbolt ports up and down, gives them addresses, and changes `bridge0`.

A port taken out of the bridge is left down and shows `status: inactive` even with a live cable; after `up` the status
settles in about three seconds. Nothing set here survives a reboot.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable

from tests.standin.commands import bridge
from tests.standin.commands.ifconfig_print import interface_text
from tests.standin.commands.interfaces import names, thunderbolt_ports
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply


def ifconfig(mac: Mac, call: Call) -> Reply:
    """Dispatch: list, show one, or change one."""
    arguments = call.argv[1:]
    if arguments == ["-l"]:
        return lines(" ".join(names(mac)))
    if arguments in ([], ["-a"]):
        return Reply(stdout="".join(interface_text(mac, name) for name in names(mac)))
    interface, change = arguments[0], arguments[1:]
    if interface not in names(mac):
        return failure(f"ifconfig: interface {interface} does not exist", 1)
    if not change:
        return Reply(stdout=interface_text(mac, interface))
    return _change(mac, call, interface, change)


COMMANDS: dict[str, Command] = {"/sbin/ifconfig": ifconfig}


def _change(mac: Mac, call: Call, interface: str, change: list[str]) -> Reply:
    if interface == bridge.NAME:
        return _change_bridge(mac, call, change)
    if interface not in thunderbolt_ports(mac):
        return unsupported(call)
    if change in (["up"], ["down"]):
        return _power(mac, call, interface, change[0])
    if change[0] == "inet":
        return _address(mac, call, interface, change[1:])
    return unsupported(call)


def _change_bridge(mac: Mac, call: Call, change: list[str]) -> Reply:
    steps = list(zip(change[::2], change[1::2], strict=False))
    if len(change) % 2 or any(verb not in BRIDGE_VERBS for verb, _ in steps):
        return unsupported(call)
    for verb, port in steps:
        ioctl, refusal = BRIDGE_VERBS[verb]
        error = errno.EPERM if not call.is_root else refusal(mac, port)
        if error:
            return failure(f"ifconfig: {ioctl} {port}: {DARWIN_ERRORS[error]}", 1)
        (bridge.release if verb == "deletem" else bridge.enslave)(mac, port)
    return Reply()


def _cannot_delete(mac: Mac, port: str) -> int | None:
    return None if port in bridge.members(mac) else errno.ENOENT


def _cannot_add(mac: Mac, port: str) -> int | None:
    if port in bridge.members(mac):
        return errno.EEXIST
    return None if port in thunderbolt_ports(mac) else errno.ENXIO


BRIDGE_VERBS: dict[str, tuple[str, Callable[[Mac, str], int | None]]] = {
    "deletem": ("BRDGDEL", _cannot_delete),
    "addm": ("BRDGADD", _cannot_add),
}
DARWIN_ERRORS = {
    errno.EPERM: "Operation not permitted",
    errno.ENOENT: "No such file or directory",
    errno.ENXIO: "Device not configured",
    errno.EEXIST: "File exists",
}


def _power(mac: Mac, call: Call, interface: str, verb: str) -> Reply:
    if not call.is_root:
        return failure(f"ifconfig: {verb}: permission denied", 1)
    if interface not in bridge.members(mac):
        (mac.network.raise_port if verb == "up" else mac.network.lower_port)(interface)
    return Reply()


def _address(mac: Mac, call: Call, interface: str, arguments: list[str]) -> Reply:
    """`A netmask M [alias]`, `A/P [alias]`, or `A -alias`; without `alias` the first address is replaced."""
    *wanted, last = [*arguments, ""] if not arguments or arguments[-1] not in ("alias", "-alias") else arguments
    address = _parse(wanted, with_mask=last != "-alias")
    if address is None:
        return unsupported(call)
    if not call.is_root:
        ioctl = "SIOCDIFADDR" if last == "-alias" else "SIOCAIFADDR"
        return failure(f"ifconfig: ioctl ({ioctl}): permission denied", 1)
    if last == "-alias":
        return _remove(mac, interface, str(address.ip))
    if last != "alias":
        for held, _ in mac.network.addresses(interface)[:1]:
            mac.network.remove_address(interface, held)
    _add(mac, interface, address)
    return Reply()


def _parse(words: list[str], *, with_mask: bool) -> ipaddress.IPv4Interface | None:
    try:
        match words:
            case [address] if "/" in address or not with_mask:
                return ipaddress.IPv4Interface(address)
            case [address, "netmask", mask]:
                dotted = ipaddress.IPv4Address(int(mask, 16)) if mask.startswith("0x") else mask
                return ipaddress.IPv4Interface(f"{address}/{dotted}")
            case _:
                return None
    except ValueError:
        return None


def _add(mac: Mac, interface: str, address: ipaddress.IPv4Interface) -> None:
    wanted = (str(address.ip), address.network.prefixlen)
    if wanted not in mac.network.addresses(interface):
        mac.network.add_address(interface, *wanted)


def _remove(mac: Mac, interface: str, address: str) -> Reply:
    if address not in [held for held, _ in mac.network.addresses(interface)]:
        return failure("ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address", 1)
    mac.network.remove_address(interface, address)
    return Reply()
