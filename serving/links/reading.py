"""What macOS says of Thunderbolt ports and network interfaces, as values. Pure; checked with macOS 26.

A port is known by its Thunderbolt domain; macOS names its receptacle (system_profiler), the receptacle its interface
(networksetup), and ifconfig the interface's state. `RUNNING` is no sign of a cable, only `status: active` is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, cast

from serving.errors import LinksUnreadable

_PORT = re.compile(r"^Hardware Port: Thunderbolt (\d+)\nDevice: (\S+)$", re.MULTILINE)
_HEAD = re.compile(r"^(\S+): flags=[0-9a-f]+<([A-Z0-9,]*)>", re.MULTILINE)
_INET = re.compile(r"^\s+inet (\S+) (?:--> \S+ )?netmask 0x([0-9a-f]{8})", re.MULTILINE)
_MEMBER = re.compile(r"^\s+member: (\S+) ", re.MULTILINE)
_ACTIVE = re.compile(r"^\s+status: active$", re.MULTILINE)


@dataclass(frozen=True)
class Interface:
    """One network interface; `members` are a bridge's."""

    up: bool
    active: bool
    addresses: frozenset[IPv4Interface]
    members: tuple[str, ...]


def receptacles(profile: str) -> dict[str, str]:
    """For each of this machine's Thunderbolt domains the receptacle; `system_profiler SPThunderboltDataType -json`."""
    try:
        buses = cast("list[dict[str, Any]]", json.loads(profile)["SPThunderboltDataType"])
        return {
            bus["domain_uuid_key"]: bus["receptacle_1_tag"]["receptacle_id_key"]
            for bus in buses
            if "domain_uuid_key" in bus and "receptacle_1_tag" in bus
        }
    except (ValueError, KeyError, TypeError) as error:
        raise LinksUnreadable(f"cannot tell the Thunderbolt ports: system_profiler gave {profile[:200]!r}.") from error


def devices(hardware_ports: str) -> dict[str, str]:
    """For each receptacle the interface; from `networksetup -listallhardwareports`. The bridge is not among them."""
    return dict(_PORT.findall(hardware_ports))


def interfaces(text: str) -> dict[str, Interface]:
    """Every interface by name; from `ifconfig -a`."""
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: _interface(head[2], text[head.end() : end]) for head, end in zip(heads, ends, strict=True)}


def _interface(flags: str, body: str) -> Interface:
    return Interface(
        up="UP" in flags.split(","),
        active=_ACTIVE.search(body) is not None,
        addresses=frozenset(
            IPv4Interface((address, str(IPv4Address(int(mask, 16))))) for address, mask in _INET.findall(body)
        ),
        members=tuple(_MEMBER.findall(body)),
    )
