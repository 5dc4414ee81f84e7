"""Every network interface of a Mac, who is in its Thunderbolt bridge, and which way everything else goes.

Relies on `ifconfig -a`: a line `NAME: flags=HEX<WORDS>` for each interface, and what is said of it indented below.
RUNNING is no sign of a cable, only `status: active` is. The bridge is asked for as bridge0, because the name of its
service is localised. `route -n get default` ends with 1 and "not in table" when there is no default route. Checked
against output of macOS 26.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Interface, IPv6Address
from typing import NoReturn, TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, cannot_tell, understood

BRIDGE = "bridge0"
_HEAD = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*): flags=[0-9a-f]+<([A-Z0-9_,]*)>")
_INET = re.compile(r"inet ([0-9.]+)(?: --> [0-9.]+)? netmask 0x([0-9a-f]{8})\b")
_MEMBER = re.compile(r"member: (\S+) flags=")
_ROUTE = re.compile(r"interface: (\S+)")
_SECONDS = 10


class Interface(TypedDict):
    """One interface. `ipv4` is in the order of assignment.

    `ipv6_first` says that an IPv6 address which is not link-local comes before all of them. macOS prints link-local
    ones first whenever they were assigned, so they tell nothing.
    """

    up: bool
    active: bool
    ipv4: list[str]
    ipv6_first: bool


class NetworkValues(TypedDict):
    """All interfaces by name; `bridge` is None when there is no bridge0, `default_route` when there is none."""

    interfaces: dict[str, Interface]
    bridge: list[str] | None
    default_route: str | None


class Network(FactBase[NetworkValues | None]):
    """Interfaces, bridge and default route; None only when the machine could not be asked at all."""

    def command(self) -> str:
        """One command for all of it."""
        return asking(
            interfaces=bounded(_SECONDS, "/sbin/ifconfig", "-a"),
            route=bounded(_SECONDS, "/sbin/route", "-n", "get", "default"),
        )

    def process(self, output: list[str]) -> NetworkValues:
        """Raises FactProcessError for a line that says something else than ifconfig and route do."""
        found = answers(output)
        described = _described(understood(found["interfaces"], "which network interfaces there are"))
        bridge = described.get(BRIDGE)
        return {
            "interfaces": {name: _interface(name, lines) for name, lines in described.items()},
            "bridge": None if bridge is None else [member[1] for line in bridge if (member := _MEMBER.match(line))],
            "default_route": _default_route(found["route"]),
        }


def _described(answer: Answer) -> dict[str, list[str]]:
    """The lines about each interface, without their indentation; the first one holds the flags."""
    described: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in filter(str.strip, answer.lines):
        if line[0].isspace() and lines:
            lines.append(line.strip())
        elif (head := _HEAD.match(line)) and head[1] not in described:
            lines = described[head[1]] = [head[2]]
        else:
            _unclear(line)
    if not described:
        _unclear(answer.text)
    return described


def _interface(name: str, lines: list[str]) -> Interface:
    flags, *rest = lines
    addresses = [line for line in rest if line.startswith("inet ") or _is_routable_ipv6(line)]
    statuses = [line.removeprefix("status: ") for line in rest if line.startswith("status:")]
    if any(status not in ("active", "inactive") for status in statuses):
        raise cannot_tell(f"whether {name} has a cable", f"ifconfig printed the status {statuses}")
    return {
        "up": "UP" in flags.split(","),
        "active": statuses == ["active"],
        "ipv4": [_address(line) for line in addresses if line.startswith("inet ")],
        "ipv6_first": bool(addresses) and addresses[0].startswith("inet6 "),
    }


def _is_routable_ipv6(line: str) -> bool:
    word, _, rest = line.partition(" ")
    if word != "inet6":
        return False
    try:
        return not IPv6Address(rest.partition(" ")[0]).is_link_local
    except ValueError:
        _unclear(line)


def _address(line: str) -> str:
    """`10.213.0.1/30`; ifconfig prints the netmask in hexadecimal."""
    if not (found := _INET.match(line)):
        _unclear(line)
    mask = ".".join(str(byte) for byte in bytes.fromhex(found[2]))
    try:
        address = IPv4Interface(f"{found[1]}/{mask}")
    except ValueError:
        _unclear(line)
    # The module takes 0.0.0.255 for a mask the other way round, which no interface has.
    if int(address.netmask) != int(found[2], 16):
        _unclear(line)
    return address.with_prefixlen


def _default_route(answer: Answer) -> str | None:
    if answer.code == 1 and "not in table" in answer.text:
        return None
    text = understood(answer, "where the default route goes").text
    found = _ROUTE.findall(text)
    if len(found) != 1:
        raise cannot_tell("where the default route goes", f"route printed {text!r}")
    return found[0]


def _unclear(line: str) -> NoReturn:
    raise cannot_tell("which network interfaces there are", f"ifconfig printed {line!r}")
