"""The cabled ports as network interfaces: out of the bridge, up, with the address the cluster gives, IPv4 first.

`dev.cidermill.links` owns all of that and mends it within seconds; before the first deploy nothing of it is so. That
is drift, and a deploy goes on. JACCL (MLX 0.32.4) uses the second entry of a port's GID table, whose first is the
port's own: so the cluster's address must be the first one given.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network

from serving.cabling import Cable
from serving.seen import Interface, Network, Port
from serving.transport import cable_addresses
from serving.verdict.finding import Finding
from serving.verdict.view import View

BRIDGE = "bridge0"
MENDED = "Run the deploy: dev.cidermill.links mends it within seconds, now and whenever it happens again."
_PREFIX = 30


def fabric(view: View) -> Iterator[Finding]:
    """What is not as declared about the interfaces on the cables."""
    for name in view.linked:
        network = view.network(name)
        if network is not None:
            for peer, port in view.cabled(name):
                yield from _port(view, network, name, peer, port)
            yield from _default_route(view, network, name)
            yield from _collisions(view, network, name)
    for cable in view.cables:
        yield from _carrier(view, cable)


def is_settled(view: View, cable: Cable) -> bool:
    """Whether both ends of a cable are up and active, as far as can be told; if not, that is told here."""
    interfaces = [view.interface(name, port) for name, _, port in cable.ends]
    return all(interface is None or (interface.up and interface.active) for interface in interfaces)


def _port(view: View, network: Network, name: str, peer: str, port: Port) -> Iterator[Finding]:
    if port.interface is None:
        return  # told with the cable
    check = f"port towards {peer}"
    interface = network.interfaces.get(port.interface)
    if interface is None:
        seen = f"ifconfig does not show {port.interface}, the interface of receptacle {port.receptacle}"
        yield Finding(name, check, seen, "an interface", "Restart the Mac.", by_hand="power")
        return
    address = f"{cable_addresses(view.cluster)[name, peer]}/{_PREFIX}"
    wrong = _wrong(view, network, port.interface, interface, address)
    if wrong is not None:
        yield Finding(name, check, f"{port.interface} {wrong}", f"{address}, out of {BRIDGE}", MENDED, "drift")


def _wrong(view: View, network: Network, port: str, interface: Interface, address: str) -> str | None:
    """The first thing about a cabled port that is not as it should be."""
    if port in (network.bridge or ()):
        return f"is in {BRIDGE}"
    if not interface.up:
        return "is down"
    if not interface.ipv4:
        return "has no IPv4 address"
    ours = [held for held in interface.ipv4 if _is_ours(view, held)]
    if interface.ipv4[0] != address or ours != [address]:
        return f"has {', '.join(interface.ipv4)}"
    if view.needs_rdma and interface.ipv6_first:
        return f"got an IPv6 address before {address}, and JACCL takes the first"
    return None


def _carrier(view: View, cable: Cable) -> Iterator[Finding]:
    ends = [(name, peer, port, view.interface(name, port)) for name, peer, port in cable.ends]
    if not cable.is_whole or any(interface and not interface.up for *_, interface in ends):
        return  # told; a port that is down takes the carrier from its peer as well
    if any(port.interface in view.bridge(name) for name, _, port, _ in ends):
        return  # told; what the cable can do shows once both its ports are out
    for name, peer, port, interface in ends:
        if interface and not interface.active:
            yield Finding(
                name,
                f"cable to {peer}",
                f"{port.interface} is inactive, though receptacle {port.receptacle} sees {peer}",
                "status: active at both ends",
                f"Look again in ten seconds. If it stays so, pull the cable to {peer} out and plug it in again; "
                f"then restart {name}.",
                # A port that was brought up a moment ago looks the same, so a deploy goes on; no rank starts over it.
                severity="drift",
                by_hand="cables",
            )
            return


def _default_route(view: View, network: Network, name: str) -> Iterator[Finding]:
    thunderbolt = {BRIDGE, *(port.interface for port in view.ports(name))}
    if network.default_route is not None and network.default_route in thunderbolt:
        yield Finding(
            name,
            "default route",
            f"it goes over {network.default_route}, a Thunderbolt port",
            "the management network",
            f"{MENDED} If it stays so, put Ethernet first: System Settings > Network > Set Service Order.",
            severity="drift",
        )


def _collisions(view: View, network: Network, name: str) -> Iterator[Finding]:
    """Addresses of the cables' network where no declared cable is."""
    cabled = {port.interface for _, port in view.cabled(name)}
    if not view.told_ports(name) or None in cabled:
        return  # nobody knows then which ones are cabled, and that is told
    thunderbolt = {port.interface for port in view.ports(name)}
    # A cable that was moved to another receptacle leaves our own address behind on the one it was in.
    own = {address: peer for (machine, peer), address in cable_addresses(view.cluster).items() if machine == name}
    found = {peer for peer, _ in view.cabled(name)}
    for interface, held in network.interfaces.items():
        inside = [] if interface in cabled else [address for address in held.ipv4 if _is_ours(view, address)]
        if not inside:
            continue
        left_behind = interface in thunderbolt and {_ip(address) for address in inside} <= own.keys()
        if left_behind and not any(own[_ip(address)] in found for address in inside):
            continue  # its cable is out, and that is told
        yield Finding(
            name,
            f"addresses of {interface}",
            f"{interface} has {', '.join(inside)}",
            f"nothing of {view.cluster.thunderbolt.network} but on declared cables",
            MENDED if left_behind else "Give it another address, or declare another thunderbolt={'network': ...}.",
            severity="drift" if left_behind else "error",
        )


def _is_ours(view: View, address: str) -> bool:
    return IPv4Interface(address).ip in IPv4Network(view.cluster.thunderbolt.network)


def _ip(address: str) -> str:
    return str(IPv4Interface(address).ip)
