"""What the checks look at: the declaration, what was read, and what several of them ask of the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from serving.cabling import Cable, cables, ports_of
from serving.cluster import Cluster
from serving.declared import MacOSUpdate, Replica
from serving.placement.declared import Placed
from serving.seen import Interface, Mac, Network, Port, Problem, Rdma, Resources, Seen
from serving.transport import peers

T = TypeVar("T")

THUNDERBOLT_4_CHIPS = frozenset({"Apple M4", "Apple M5"}) | {
    f"Apple M{generation}{grade}" for generation in (1, 2, 3) for grade in ("", " Pro", " Max", " Ultra")
} - {"Apple M3 Ultra"}
"""Chips whose ports end at 40 Gb/s. All others must prove themselves by a port that says more."""


@dataclass(frozen=True)
class View:
    """A lab as declared and as found."""

    cluster: Cluster
    seen: Mapping[str, Seen]
    weights_bytes: Mapping[str, int]
    placed: Mapping[str, Placed | Problem] = field(default_factory=dict[str, "Placed | Problem"])
    """By replica what was decided of it; those that are not there are not judged by it."""

    @cached_property
    def cables(self) -> list[Cable]:
        """Every declared cable with the ports it was found in."""
        return cables(self.cluster, self.seen)

    @cached_property
    def machines(self) -> list[str]:
        """All machines, as declared."""
        return [machine.name for machine in self.cluster.machines]

    @cached_property
    def linked(self) -> list[str]:
        """The machines with a declared cable."""
        return [name for name in self.machines if self.cluster.neighbours(name)]

    @property
    def update(self) -> MacOSUpdate | None:
        """The macOS that every machine is brought to, if one is declared."""
        return self.cluster.macos.update if self.cluster.macos else None

    @property
    def needs_rdma(self) -> bool:
        """Whether RDMA is required on the cables."""
        return self.cluster.thunderbolt.rdma == "required"

    @property
    def needs_thunderbolt5(self) -> bool:
        """Whether the cables must do more than Thunderbolt 4."""
        return self.needs_rdma or self.cluster.thunderbolt.minimum_speed_gbps > 40

    def mac(self, name: str) -> Mac | None:
        """What a machine is, if that could be read."""
        return _read(self.seen[name].mac)

    def rdma(self, name: str) -> Rdma | None:
        """RDMA as a machine tells it, if that could be read."""
        return _read(self.seen[name].rdma)

    def network(self, name: str) -> Network | None:
        """A machine's interfaces, if they could be read."""
        return _read(self.seen[name].network)

    def bridge(self, name: str) -> tuple[str, ...]:
        """The members of a machine's Thunderbolt bridge, as far as they could be read."""
        network = self.network(name)
        return (network.bridge if network else None) or ()

    def resources(self, name: str) -> Resources | None:
        """What a machine has left, if that could be read."""
        return _read(self.seen[name].resources)

    def ports(self, name: str) -> tuple[Port, ...]:
        """A machine's Thunderbolt ports; none when they could not be read."""
        return ports_of(self.seen[name])

    def told_ports(self, *names: str) -> bool:
        """Whether all of these machines could tell what is in their Thunderbolt ports."""
        return not any(isinstance(self.seen[name].ports, Problem) for name in names)

    def cabled(self, name: str) -> Iterator[tuple[str, Port]]:
        """(peer, port) for each declared cable found in a port of this machine."""
        return ((peer, port) for cable in self.cables for here, peer, port in cable.ends if here == name)

    def interface(self, name: str, port: Port) -> Interface | None:
        """The network interface of a port, if the machine has it."""
        network = self.network(name)
        return network.interfaces.get(port.interface) if network and port.interface else None

    def machine_with(self, domain: str | None) -> str | None:
        """The machine one of whose ports has this Thunderbolt domain, if any."""
        return next((name for name in self.machines for port in self.ports(name) if port.domain_uuid == domain), None)

    def is_too_old(self, name: str) -> bool:
        """Whether its macOS was found older than declared."""
        mac = self.mac(name)
        return bool(mac and self.cluster.macos and is_older(mac.macos, self.cluster.macos.at_least))

    def slow_thunderbolt(self, name: str) -> str | None:
        """Why a machine's ports end below Thunderbolt 5, if they do: its chip, or what its idle ports say."""
        mac = self.mac(name)
        if mac is None or not self.told_ports(name):
            return None
        if not self.ports(name):
            return f"{mac.chip} ({mac.model}) shows no Thunderbolt port"
        if mac.chip in THUNDERBOLT_4_CHIPS:
            return f"{mac.chip} ({mac.model}) has Thunderbolt 4, at most 40 Gb/s"
        # Only an idle port says what it could do; one with a cable in it says what the cable does.
        idle = [port.speed_gbps or 0 for port in self.ports(name) if not port.peers]
        fastest = max((port.speed_gbps or 0 for port in self.ports(name)), default=0)
        return f"{mac.chip} ({mac.model}), whose fastest port says {fastest} Gb/s" if idle and fastest < 80 else None

    def fellows(self, name: str) -> tuple[Replica, set[str]] | None:
        """The replica a machine belongs to, and the machines its rank sends to or receives from."""
        replica = self.cluster.replica_of(name)
        if replica is None or replica.transport is None:
            return None
        near = peers(replica.transport, replica.machines.index(name), len(replica.machines))
        return replica, {replica.machines[rank] for rank in near}


def is_older(version: str, than: str) -> bool:
    """Whether a macOS version is older; one that is no version at all counts as older."""
    return numbers(version) < numbers(than)


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers to compare; nothing, which is less than any, when it is no version at all."""
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return ()
    return (*map(int, parts), 0, 0, 0)[: max(3, len(parts))]


def _read(value: T | Problem) -> T | None:
    return None if isinstance(value, Problem) else value
