"""The declared cables: there, straight from Mac to Mac, seen from both ends, fast enough, in a port that may be used.

A missing cable is told once, on the machine that the link names first. Checked against output of macOS 26.3 to 27.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.cabling import Cable, way
from serving.seen import Peer, Port
from serving.verdict.finding import Finding
from serving.verdict.view import View

PLUG_IN = "Plug it in, or take the link out of the inventory. After re-plugging give macOS ten seconds."
_STRAIGHT = (
    "Run one cable certified for Thunderbolt 5 straight between the two Macs: RDMA is not routed through anything."
)
_RESEAT = (
    "Pull the cable to {name} out at both ends, plug it in again, wait ten seconds; if it stays so, restart {peer}."
)
_STUDIOS = frozenset({"Mac15,14", "Mac16,9"})
"""Mac Studios with Thunderbolt 5: M3 Ultra and M4 Max. A mini has no such port."""
_NEXT_TO_ETHERNET = 1


def cables(view: View) -> Iterator[Finding]:
    """What keeps a declared cable from being used."""
    groups = _blank_groups(view)
    for group in groups:
        yield _wedged(view, group)
    told = [frozenset(link) for group in groups for link in _links_within(view, group)]
    for cable in view.cables:
        if view.told_ports(*cable.link.between) and frozenset(cable.link.between) not in told:
            yield from _whole(view, cable) if cable.is_whole else _missing(view, cable)


def _whole(view: View, cable: Cable) -> Iterator[Finding]:
    minimum = view.cluster.thunderbolt.minimum_speed_gbps
    slow = [end for end in cable.ends if (end[2].speed_gbps or 0) < minimum]
    if slow and not (view.needs_thunderbolt5 and any(view.slow_thunderbolt(end) for end in cable.link.between)):
        name, peer, port = slow[0]
        seen = f"{port.speed} in receptacle {port.receptacle}"
        remedy = "Use a cable certified for Thunderbolt 5, directly between the two Macs."
        yield Finding(name, f"cable to {peer}", seen, f"{minimum} Gb/s", remedy, by_hand="cables")
    for name, peer, port in cable.ends:
        yield from _port(view, name, peer, port)


def _port(view: View, name: str, peer: str, port: Port) -> Iterator[Finding]:
    mac = view.mac(name)
    if port.interface is None:
        seen = f"receptacle {port.receptacle} has no network interface in networksetup -listallhardwareports"
        remedy = "Restart the Mac; if it stays so, use another receptacle."
        yield Finding(name, f"cable to {peer}", seen, "an interface for every receptacle", remedy, by_hand="power")
    refused = view.needs_rdma and view.cluster.thunderbolt.port_next_to_ethernet == "refused"
    if refused and mac and mac.model in _STUDIOS and port.receptacle == _NEXT_TO_ETHERNET:
        yield Finding(
            name,
            f"cable to {peer}",
            f"it is in receptacle {port.receptacle}, the one next to Ethernet",
            "any other receptacle: RDMA is reported not to work in that one on a Mac Studio",
            f"Move the cable to another port of {name}. Where that port is known to work, declare "
            "thunderbolt={'port_next_to_ethernet': None}.",
            by_hand="cables",
        )


def _missing(view: View, cable: Cable) -> Iterator[Finding]:
    a, b = cable.link.between
    needed = f"a Thunderbolt cable from {a} straight to {b}{_purpose(view, a, b)}"
    for name, peer in ((a, b), (b, a)):
        found = _indirect(view, name, peer)
        if found is not None:
            seen = _between(view, name, peer, *found)
            yield Finding(name, f"cable to {peer}", seen, needed, _STRAIGHT, by_hand="cables")
            return
    seeing = next(iter(cable.ends), None)
    if seeing is not None:
        name, peer, port = seeing
        seen = f"{name} sees {peer} in receptacle {port.receptacle}, but no port of {peer} sees {name}"
        remedy = _RESEAT.format(name=name, peer=peer)
        yield Finding(peer, f"cable to {name}", seen, "a cable that both ends see", remedy, by_hand="cables")
        return
    seen = f"no port of {a} sees {b}, and none of {b} sees {a}{_other_devices(view, a)}"
    yield Finding(a, f"cable to {b}", seen, needed, f"{PLUG_IN} It goes from {a} to {b}.", by_hand="cables")


def _purpose(view: View, a: str, b: str) -> str:
    fellows = view.fellows(a)
    if fellows is None or b not in fellows[1]:
        return ""
    replica, _ = fellows
    shape = "full mesh" if replica.transport == "jaccl" else "ring, in rank order"
    return f": replica '{replica.name}' needs it for its {shape}"


def _indirect(view: View, name: str, peer: str) -> tuple[Port, tuple[Peer, ...]] | None:
    """The port through which a machine sees its peer, and what stands between, when anything does."""
    domains = [port.domain_uuid for port in view.ports(peer)]
    ways = ((port, way(port, domains)) for port in view.ports(name))
    return next(((port, between) for port, between in ways if between), None)


def _between(view: View, name: str, peer: str, port: Port, between: tuple[Peer, ...]) -> str:
    nearest = between[0]
    if nearest.domain_uuid is None:
        return (
            f"{peer} is behind '{nearest.model}' in receptacle {port.receptacle} of {name}: a dock or hub between them"
        )
    through = view.machine_with(nearest.domain_uuid) or f"another Mac ({nearest.model})"
    return f"{peer} is behind {through} in receptacle {port.receptacle} of {name}: a daisy chain"


def _other_devices(view: View, name: str) -> str:
    """Docks and hubs directly at a machine: the likeliest place for the other end of a cable that is not found."""
    devices = [
        f"receptacle {port.receptacle} holds '{peer.model}', which is no Mac"
        for port in view.ports(name)
        for peer in port.peers
        if peer.depth == 1 and peer.domain_uuid is None
    ]
    return f" ({'; '.join(devices)})" if devices else ""


def _blank_groups(view: View) -> list[list[str]]:
    """Machines joined by declared cables none of which sees anything in any of its ports."""
    blank = {name for name in view.linked if view.ports(name) and not any(port.peers for port in view.ports(name))}
    groups: list[list[str]] = []
    for name in view.linked:
        near = [group for group in groups if set(group).intersection(view.cluster.neighbours(name))]
        if name in blank:
            groups = [group for group in groups if group not in near]
            groups.append([*(member for group in near for member in group), name])
    return [group for group in groups if len(group) > 1]


def _links_within(view: View, group: list[str]) -> list[tuple[str, str]]:
    return [link.between for link in view.cluster.links if set(link.between) <= set(group)]


def _wedged(view: View, group: list[str]) -> Finding:
    first, *others = group
    count = len(_links_within(view, group))
    declared = "a cable is declared" if count == 1 else f"{count} cables are declared"
    return Finding(
        first,
        f"cable to {', '.join(others)}",
        f"none of {', '.join(group)} sees any device in any Thunderbolt port, though {declared} between them",
        "a cable that both ends see",
        f"If the cables are in at both ends, the Thunderbolt controllers are wedged: restart one of the "
        f"Macs ({first}, for example) and look again. If they are not, plug them in.",
        by_hand="power",
    )
