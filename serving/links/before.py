"""How a machine was before, and the way back there. Pure.

A record is made of what is about to be owned, ahead of the first change, and holds for one boot: a reboot puts all of
it back by itself. The way back concerns recorded things only, and is as short as it can be: once everything is as it
was, there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface

from serving.configuration import LinksConfiguration
from serving.links import commands
from serving.links.observation import (
    BRIDGE,
    OUR_PREFIX,
    Before,
    Change,
    Fabric,
    Filter,
    Held,
    Interface,
    PortBefore,
    Seen,
    Unreadable,
)


def noted(
    before: Before, configuration: LinksConfiguration, seen: Seen, held: Held | None, also: Iterable[str] = ()
) -> Before:
    """The record with whatever is owned and the record lacks, as it is now; `also` are ports that were owned."""
    changes: dict[str, object] = {}
    if isinstance(seen.fabric, Fabric):
        changes["ports"] = _ports(before.ports, {*_declared(configuration, seen.fabric), *also}, seen.fabric)
    if before.wired_limit_mb is None and isinstance(seen.wired_limit_mb, int):
        changes["wired_limit_mb"] = seen.wired_limit_mb
    if before.filter_enabled is None and isinstance(seen.filter, Filter):
        changes["filter_enabled"] = seen.filter.enabled
        changes["filter_rules"] = None if held is None else held.rules
        changes["filter_referred"] = held is not None and held.token is not None
    return before.model_copy(update=changes)


def _declared(configuration: LinksConfiguration, fabric: Fabric) -> set[str]:
    found = (fabric.ports.get(cable.domain_uuid) for cable in configuration.cables)
    return {port.interface for port in found if port is not None}


def _ports(before: Mapping[str, PortBefore], owned: Iterable[str], fabric: Fabric) -> dict[str, PortBefore]:
    ports = dict(before)
    for name in sorted(owned):
        interface = fabric.interfaces.get(name)
        if interface is None:
            continue
        bridged = name in fabric.bridged
        if name not in ports:
            addresses = tuple(str(address) for address in interface.addresses)
            ports[name] = PortBefore(bridged=bridged, up=interface.up, addresses=addresses)
        elif bridged and not ports[name].bridged:
            # macOS fills its bridge a while after boot, perhaps after our first look.
            ports[name] = ports[name].model_copy(update={"bridged": True, "up": True})
    return ports


def restoring(before: Before, seen: Seen, held: Held | None) -> list[Change]:
    """What leads back to the record, as far as can be told."""
    changes = [] if isinstance(seen.fabric, Unreadable) else _ports_back(before.ports, seen.fabric)
    was, now = before.wired_limit_mb, seen.wired_limit_mb
    if was is not None and isinstance(now, int) and now != was:
        changes.append(commands.limit_wired(was))
    return [*changes, *(filter_back(before, held) or _on_again(before, seen))]


def untold(before: Before, seen: Seen) -> list[str]:
    """Why there is no telling whether everything is back."""
    fabric = seen.fabric if before.ports else None
    limit = seen.wired_limit_mb if before.wired_limit_mb is not None else None
    filtered = seen.filter if before.filter_enabled else None
    return [subject.text for subject in (fabric, limit, filtered) if isinstance(subject, Unreadable)]


def _ports_back(ports: Mapping[str, PortBefore], fabric: Fabric) -> list[Change]:
    return [
        change
        for name, was in ports.items()
        if name in fabric.interfaces
        for change in _port_back(name, was, fabric.interfaces[name], fabric)
    ]


def _port_back(name: str, was: PortBefore, now: Interface, fabric: Fabric) -> list[Change]:
    missing = [address for address in ours(map(IPv4Interface, was.addresses)) if address not in now.addresses]
    changes = [
        *without_ours(name, was, now),
        *(commands.give(name, name, str(address.ip)) for address in missing),
    ]
    bridged = name in fabric.bridged
    if was.bridged and not bridged and BRIDGE in fabric.interfaces:
        return [*changes, commands.put_back_in(name, name), commands.switch(name, name, up=True)]
    if not bridged and now.up != was.up:
        changes.append(commands.switch(name, name, up=was.up))
    return changes


def without_ours(name: str, was: PortBefore, now: Interface) -> list[Change]:
    """Our addresses away from a port, as far as they were not there before."""
    there = {IPv4Interface(address) for address in was.addresses}
    return [commands.take_away(name, name, str(address.ip)) for address in ours(now.addresses) if address not in there]


def ours(addresses: Iterable[IPv4Interface]) -> list[IPv4Interface]:
    """Those of the kind that we give."""
    return [address for address in addresses if address.network.prefixlen == OUR_PREFIX]


def filter_back(before: Before, held: Held | None) -> list[Change]:
    """Our anchor as it was, and our reference taken or released as it was."""
    rules, token = (None, None) if held is None else (held.rules, held.token)
    changes: list[Change] = []
    if before.filter_rules is not None and before.filter_rules != rules:
        changes.append(commands.load(before.filter_rules))
    if before.filter_rules is None and rules is not None:
        changes.append(commands.flush())
    if before.filter_referred and token is None:
        changes.append(commands.enable())
    if token and not before.filter_referred:
        changes.append(commands.release(token))
    return changes


def _on_again(before: Before, seen: Seen) -> list[Change]:
    """A filter that was on without us goes off with our reference when that was the last one."""
    off = isinstance(seen.filter, Filter) and not seen.filter.enabled
    return [commands.enable_for_good()] if before.filter_enabled and not before.filter_referred and off else []
