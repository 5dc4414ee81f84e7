"""What macOS 26 says of Thunderbolt ports, network interfaces and the packet filter, as values. Pure.

A port is known by its Thunderbolt domain; macOS names its receptacle (system_profiler), the receptacle its interface
(networksetup), and ifconfig the interface's state. `RUNNING` is no sign of a cable, only `status: active` is. What is
not in the shape known here raises LinksUnreadable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import Any, cast

from serving.errors import LinksUnreadable
from serving.links.observation import Interface, Port

_PORT = re.compile(r"^Hardware Port: Thunderbolt (\d+)\nDevice: (\S+)$", re.MULTILINE)
_HEAD = re.compile(r"^(\S+): flags=[0-9a-f]+<([A-Z0-9,]*)>", re.MULTILINE)
_INET = re.compile(r"^\s+inet (\S+) (?:--> \S+ )?netmask 0x([0-9a-f]{8})", re.MULTILINE)
_FAMILY = re.compile(r"^\s+(inet6?) ([0-9a-fA-F.:]+)", re.MULTILINE)
_MEMBER = re.compile(r"^\s+member: (\S+) ", re.MULTILINE)
_ACTIVE = re.compile(r"^\s+status: active$", re.MULTILINE)
_ROUTE = re.compile(r"^\s*interface: (\S+)$", re.MULTILINE)
_STATUS = re.compile(r"^Status: (Enabled|Disabled)\b", re.MULTILINE)
_TOKEN = re.compile(r"^Token : (\d+)$", re.MULTILINE)
_ANCHORS_OF_APPLE = re.compile(r'^anchor "com\.apple/\*"', re.MULTILINE)


def ports(profile: str, hardware_ports: str) -> dict[str, Port]:
    """Each Thunderbolt port by its domain, as far as it has an interface."""
    by_receptacle = devices(hardware_ports)
    return {
        domain: Port(receptacle, by_receptacle[receptacle], facing)
        for domain, (receptacle, facing) in receptacles(profile).items()
        if receptacle in by_receptacle
    }


def receptacles(profile: str) -> dict[str, tuple[str, str | None]]:
    """For each domain of this machine its receptacle and the domain facing it: `SPThunderboltDataType -json`."""
    try:
        # Apple's tools may log a line of their own before or after; only the document counts.
        document, _ = json.JSONDecoder().raw_decode(profile, profile.index("{"))
        buses = cast("list[dict[str, Any]]", document["SPThunderboltDataType"])
        return {
            bus["domain_uuid_key"]: (bus["receptacle_1_tag"]["receptacle_id_key"], _facing(bus))
            for bus in buses
            if "domain_uuid_key" in bus and "receptacle_1_tag" in bus
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LinksUnreadable(f"cannot tell the Thunderbolt ports: system_profiler gave {profile[:200]!r}.") from error


def _facing(bus: Mapping[str, Any]) -> str | None:
    # Directly at the port: a Mac behind a dock is nested, and no cable of ours.
    return next((item["domain_uuid_key"] for item in bus.get("_items", []) if "domain_uuid_key" in item), None)


def devices(hardware_ports: str) -> dict[str, str]:
    """For each receptacle the interface; from `networksetup -listallhardwareports`. The bridge is not among them."""
    return dict(_PORT.findall(hardware_ports))


def interfaces(text: str) -> dict[str, Interface]:
    """Every interface by name; from `ifconfig -a`."""
    heads = list(_HEAD.finditer(text))
    if not heads:
        raise LinksUnreadable(f"cannot tell the network interfaces: ifconfig gave {text[:200]!r}.")
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: _interface(head[2], text[head.end() : end]) for head, end in zip(heads, ends, strict=True)}


def _interface(flags: str, body: str) -> Interface:
    try:
        found = [IPv4Interface((address, str(IPv4Address(int(mask, 16))))) for address, mask in _INET.findall(body)]
    except ValueError as error:
        raise LinksUnreadable(f"cannot tell an interface's addresses: ifconfig gave {body[:200]!r}.") from error
    return Interface(
        up="UP" in flags.split(","),
        active=_ACTIVE.search(body) is not None,
        addresses=tuple(found),
        members=tuple(_MEMBER.findall(body)),
        ipv6_first=_ipv6_first(body),
    )


def _ipv6_first(body: str) -> bool:
    for family, address in _FAMILY.findall(body):
        if family == "inet":
            return False
        if _is_routable(address):
            return True
    return False


def _is_routable(address: str) -> bool:
    try:
        return not IPv6Address(address).is_link_local
    except ValueError:
        return False


def default_route(code: int, output: str, errors: str) -> str | None:
    """The interface of `route -n get default`; None when there is no such route."""
    found = _ROUTE.search(output)
    if code == 0 and found is not None:
        return found[1]
    if "not in table" in errors + output:
        return None
    raise LinksUnreadable(f"cannot tell the default route: route gave {(output + errors)[:200]!r}.")


def number(text: str) -> int:
    """A value that `sysctl -n` prints."""
    try:
        return int(text)
    except ValueError as error:
        raise LinksUnreadable(f"cannot tell the wired memory limit: sysctl gave {text[:200]!r}.") from error


def filter_enabled(info: str) -> bool:
    """Whether the packet filter is on; `pfctl -s info`."""
    found = _STATUS.search(info)
    if found is None:
        raise LinksUnreadable(f"cannot tell whether the packet filter is on: pfctl gave {info[:200]!r}.")
    return found[1] == "Enabled"


def rules(text: str) -> tuple[str, ...]:
    """The lines of `pfctl -s rules`; what it says besides goes to standard error."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def asks_anchors(main_rules: str) -> bool:
    """Whether the main ruleset evaluates anchors below com.apple, as Apple's own /etc/pf.conf has it."""
    return _ANCHORS_OF_APPLE.search(main_rules) is not None


def token(said: str) -> str:
    """The token that `pfctl -E` prints; empty when there is none."""
    found = _TOKEN.search(said)
    return "" if found is None else found[1]
