"""Which ports the cables are in: a cable is two ports that name each other's Thunderbolt domain.

A port shows the Mac at the other end by the domain of that Mac's own port (macOS 26.3 to 27.0), so two Macs' answers
tell which receptacles a cable joins, also when there are several cables between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from serving.cluster import Cluster
from serving.declared import Link
from serving.seen import Peer, Port, Problem, Seen

Ends = tuple[Port | None, Port | None]
"""The ports a cable was found in at either end; None at an end that does not see the other."""


@dataclass(frozen=True)
class Cable:
    """One declared link and the port it was found in at either end; None where it was not found."""

    link: Link
    ports: Ends

    @property
    def is_whole(self) -> bool:
        """Whether both ends see each other."""
        return None not in self.ports

    @property
    def ends(self) -> Iterator[tuple[str, str, Port]]:
        """(machine, peer, port) for each end that was found."""
        a, b = self.link.between
        for name, peer, port in ((a, b, self.ports[0]), (b, a, self.ports[1])):
            if port is not None:
                yield name, peer, port


def cables(cluster: Cluster, seen: Mapping[str, Seen]) -> list[Cable]:
    """Every declared link with the ports it is in, in the order of the declaration."""
    ports = {name: ports_of(looked) for name, looked in seen.items()}
    found = ((link, _joined(*(ports.get(name, ()) for name in link.between))) for link in cluster.links)
    return [Cable(link, joined[0] if joined else (None, None)) for link, joined in found]


def undeclared(cluster: Cluster, seen: Mapping[str, Seen]) -> list[Cable]:
    """Every cable between two machines of the cluster beyond the declared one, in the order of the machines."""
    declared = {frozenset(link.between) for link in cluster.links}
    names = [machine.name for machine in cluster.machines if machine.name in seen]
    see_something = {name for name in names if any(port.peers for port in ports_of(seen[name]))}
    return [
        Cable(Link(between=(a, b)), ends)
        for a, b in combinations(names, 2)
        if see_something.intersection((a, b))
        for ends in _joined(ports_of(seen[a]), ports_of(seen[b]))[int(frozenset((a, b)) in declared) :]
    ]


def port_towards(cluster: Cluster, seen: Mapping[str, Seen], machine: str, peer: str) -> Port | None:
    """The port of `machine` that its declared cable to `peer` is in."""
    for cable in cables(cluster, seen):
        if set(cable.link.between) == {machine, peer}:
            return cable.ports[cable.link.between.index(machine)]
    return None


def ports_of(seen: Seen) -> tuple[Port, ...]:
    """The Thunderbolt ports of a Mac; none when it could not tell."""
    return () if isinstance(seen.ports, Problem) else seen.ports


def way(port: Port, domains: Collection[str]) -> tuple[Peer, ...] | None:
    """What stands between a port and the first Mac with one of these domains, nearest first; None if none is seen."""
    along: list[Peer] = []
    for peer in port.peers:
        along = [*along[: peer.depth - 1], peer]
        # One that hangs from something that is not told of is not directly at the port.
        if peer.domain_uuid in domains and len(along) == peer.depth:
            return tuple(along[:-1])
    return None


def _joined(here: Sequence[Port], there: Sequence[Port]) -> list[Ends]:
    """Every cable between two Macs: those that both ends see first, then those that one end alone sees."""
    both: list[Ends] = [(p, q) for p in here for q in there if _sees(p, q) and _sees(q, p)]
    known = [id(port) for ends in both for port in ends]
    ours: list[Ends] = [(p, None) for p in here if id(p) not in known and any(_sees(p, q) for q in there)]
    theirs: list[Ends] = [(None, q) for q in there if id(q) not in known and any(_sees(q, p) for p in here)]
    return [*both, *ours, *theirs]


def _sees(port: Port, other: Port) -> bool:
    return way(port, (other.domain_uuid,)) == ()
