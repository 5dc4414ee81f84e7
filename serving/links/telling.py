"""What is to be told of a machine that was looked at: each cable's end, and every problem in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from serving.configuration import Cabled, LinksConfiguration
from serving.links.commands import FILTER, LIMIT
from serving.links.decision import Decision, wanted
from serving.links.observation import Fabric, Filter, Held, Seen, Unreadable
from serving.links.report import CableEnd

FilterStatus = Literal["on", "off", "not managed", "cannot tell"]


def ends(configuration: LinksConfiguration, seen: Seen, failed: Mapping[str, str]) -> dict[str, CableEnd]:
    """This machine's end of each cable, by peer; `failed` is what went wrong with a change, by its subject."""
    fabric = seen.fabric
    if isinstance(fabric, Unreadable):
        return {cable.peer: _missing(cable, fabric.text) for cable in configuration.cables}
    return {
        cable.peer: _end(configuration, cable, fabric, failed.get(cable.peer, "")) for cable in configuration.cables
    }


def _missing(cable: Cabled, problem: str) -> CableEnd:
    return CableEnd(interface=None, address=cable.address, status="missing", problem=problem)


def _end(configuration: LinksConfiguration, cable: Cabled, fabric: Fabric, failed: str) -> CableEnd:
    port = fabric.ports.get(cable.domain_uuid)
    if port is None or port.interface not in fabric.interfaces:
        return _missing(cable, f"macOS lists no interface for the port with Thunderbolt domain {cable.domain_uuid}")
    name, interface = port.interface, fabric.interfaces[port.interface]
    problem = failed
    if not problem and name in fabric.bridged:
        problem = f"{name} is in the bridge"
    if not problem and not interface.active:
        problem = f"{name} has no carrier{_elsewhere(configuration, fabric)}"
    if not problem and wanted(cable) not in interface.addresses:
        problem = f"{name} has no {cable.address} yet"
    end = CableEnd(
        interface=name,
        address=cable.address,
        status="inactive" if problem else "active",
        problem=problem,
        facing=port.facing,
    )
    if not problem and interface.ipv6_first:
        return end.model_copy(update={"problem": _ipv6_first(cable, name)})
    return end


def _elsewhere(configuration: LinksConfiguration, fabric: Fabric) -> str:
    declared = {cable.domain_uuid for cable in configuration.cables}
    found = [
        f"Thunderbolt {port.receptacle} ({port.interface})"
        for domain, port in fabric.ports.items()
        if domain not in declared and port.facing is not None
    ]
    if not found:
        return ""
    return (
        f", and a Mac is at {', '.join(sorted(found))}, which is no declared cable's port. If the cable was moved, "
        "put it back, or run the deploy again"
    )


def _ipv6_first(cable: Cabled, name: str) -> str:
    return (
        f"{name} got an IPv6 address before {cable.address}, and JACCL uses the first one. Remove what gives it the "
        "IPv6 address, then restart this Mac"
    )


def problems(
    configuration: LinksConfiguration,
    seen: Seen,
    decision: Decision,
    told: Mapping[str, CableEnd],
    failed: Mapping[str, str],
) -> tuple[str, ...]:
    """Everything that is not as it should be."""
    found = [f"cable to {peer}: {end.problem}" for peer, end in told.items() if end.problem]
    found += [f"{subject}: {text}" for subject, text in failed.items() if subject not in told]
    found += _default_route(configuration, seen)
    if isinstance(seen.wired_limit_mb, Unreadable):
        found.append(f"{LIMIT}: {seen.wired_limit_mb.text}")
    if isinstance(seen.filter, Unreadable):
        found.append(f"{FILTER}: {seen.filter.text}")
    elif configuration.filter_rules is not None and seen.filter is not None and not seen.filter.evaluated:
        found.append(
            f"{FILTER}: our rules are not in force, because the main rules do not ask anchors below com.apple. "
            "Load Apple's own with `pfctl -f /etc/pf.conf`"
        )
    if decision.is_over and not decision.is_back:
        found += [f"cannot tell whether all is back as it was: {text}" for text in decision.untold]
    return tuple(found)


def _default_route(configuration: LinksConfiguration, seen: Seen) -> list[str]:
    if isinstance(seen.default_route, Unreadable):
        return [seen.default_route.text]
    if isinstance(seen.fabric, Unreadable):
        return []
    ports = {cable.peer: seen.fabric.ports.get(cable.domain_uuid) for cable in configuration.cables}
    return [
        f"the default route leads over {port.interface}, the cable to {peer}. Remove the router from that port's "
        "network service"
        for peer, port in ports.items()
        if port is not None and port.interface == seen.default_route
    ]


def filter_status(configuration: LinksConfiguration, seen: Seen, held: Held | None) -> FilterStatus:
    """Whether our rules are in force."""
    if configuration.filter_rules is None:
        return "not managed"
    if not isinstance(seen.filter, Filter):
        return "cannot tell"
    loaded = held is not None and held.rules == configuration.filter_rules and held.printed == seen.filter.rules
    return "on" if loaded and seen.filter.enabled and seen.filter.evaluated else "off"
