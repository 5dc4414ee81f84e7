"""Which ports the declared cables are in: a cable is two ports that name each other's Thunderbolt domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serving.cluster import Cluster
from serving.declared import Link
from serving.seen import Port, Problem, Seen


@dataclass(frozen=True)
class Cable:
    """One declared link and the port it was found in at either end; None where it was not found."""

    link: Link
    ports: tuple[Port | None, Port | None]

    @property
    def is_whole(self) -> bool:
        """Whether both ends see each other."""
        return None not in self.ports


def cables(cluster: Cluster, seen: Mapping[str, Seen]) -> list[Cable]:
    """Every declared link with the ports it is in, in the order of the declaration."""
    ports = {name: () if isinstance(looked.ports, Problem) else looked.ports for name, looked in seen.items()}
    return [
        Cable(link, _ends(ports.get(link.between[0], ()), ports.get(link.between[1], ()))) for link in cluster.links
    ]


def port_towards(cluster: Cluster, seen: Mapping[str, Seen], machine: str, peer: str) -> Port | None:
    """The port of `machine` that its declared cable to `peer` is in."""
    for cable in cables(cluster, seen):
        if set(cable.link.between) == {machine, peer}:
            return cable.ports[cable.link.between.index(machine)]
    return None


def _ends(here: tuple[Port, ...], there: tuple[Port, ...]) -> tuple[Port | None, Port | None]:
    return _facing(here, there), _facing(there, here)


def _facing(ports: tuple[Port, ...], others: tuple[Port, ...]) -> Port | None:
    domains = {other.domain_uuid for other in others}
    for port in ports:
        if any(peer.depth == 1 and peer.domain_uuid in domains for peer in port.peers):
            return port
    return None
