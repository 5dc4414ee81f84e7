"""Replicas as they are declared, judged before anything is loaded: the one place where that is decided. Pure.

The verdict refuses by it, ranks are told the layers that it decides, and what to expect is told from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from serving.anatomy.values import Anatomy
from serving.cluster import Cluster
from serving.declared import Replica
from serving.errors import MachineUnknown
from serving.placement import mending, refusing
from serving.placement.chips import NAMELESS, Chip, Machine, chip
from serving.placement.choosing import choices, judged
from serving.placement.splitting import by_memory
from serving.placement.wish import Choice, Wish
from serving.seen import Mac, Problem, Resources, Seen


@dataclass(frozen=True)
class Placed:
    """One declared replica: what it needs of each machine, what speaks against it, and what to expect of it.

    What its cables can do is not judged here but by what is found in the ports.
    """

    name: str
    weights: Anatomy
    wish: Wish
    choice: Choice
    """Its machines are in rank order, as declared."""
    nearest: tuple[str, ...] = ()
    """What would work, where it does not; the least change first."""
    better: Choice | None = None
    """Another way to use the same machines that is expected to serve more, beyond all doubt of the model of speed."""
    unknown: tuple[str, ...] = ()
    """Chips that nobody knows the speed of, as the machines tell them."""


def placed(
    cluster: Cluster, seen: Mapping[str, Seen], anatomies: Mapping[str, Anatomy | Problem]
) -> dict[str, Placed | Problem]:
    """Every replica by its name, on the machines as they were found.

    None of a replica with a machine that could not be read and whose chip or memory is not declared; a problem where
    what its weights are cannot be told.
    """
    found: dict[str, Placed | Problem] = {}
    for replica in cluster.replicas:
        weights, machines = anatomies[replica.weights], found_machines(cluster, seen, replica)
        if isinstance(weights, Problem):
            found[replica.name] = weights
        elif machines is not None:
            found[replica.name] = judged_replica(weights, replica, machines, wish_of(cluster, replica))
    return found


def judged_replica(weights: Anatomy, replica: Replica, machines: Sequence[Machine], wish: Wish) -> Placed:
    """A replica on given machines, in rank order."""
    layers = None
    if replica.pipeline_layers == "by memory":
        layers = by_memory(weights, machines, wish.context, wish.slots)
    elif replica.pipeline_layers != "even":
        layers = replica.pipeline_layers
    sharding = replica.sharding or "single"
    choice = Choice(sharding, tuple(machines), 1, (), layers, replica.transport)
    choice = judged(weights, choice, wish, against=refusing.of_weights)
    nearest = () if choice.works else tuple(mending.nearest(weights, choice, wish))
    unknown = tuple(machine.chip.name for machine in machines if not machine.chip.is_known)
    return Placed(replica.name, weights, wish, choice, nearest, _better(weights, choice, wish), unknown)


def machines_of(cluster: Cluster, replica: Replica) -> list[Machine]:
    """The machines of a replica, in rank order. Raises MachineUnknown where chip or memory are not declared."""
    return [_declared(cluster, name) for name in replica.machines]


def found_machines(cluster: Cluster, seen: Mapping[str, Seen], replica: Replica) -> list[Machine] | None:
    """The machines of a replica as they were found, in rank order.

    One that could not be read is taken as it is declared: nothing is deployed then, but what the others should run can
    still be compared. None where that is not declared.
    """
    try:
        return [_found(cluster, seen, name) or _declared(cluster, name) for name in replica.machines]
    except MachineUnknown:
        return None


def wish_of(cluster: Cluster, replica: Replica) -> Wish:
    """What is declared of a replica."""
    return Wish(
        context=replica.context_tokens,
        slots=replica.slots,
        transport=replica.transport,
        cables=frozenset(frozenset(link.between) for link in cluster.links),
    )


def _better(weights: Anatomy, declared: Choice, wish: Wish) -> Choice | None:
    """The best of all choices, when it is better even where the model of speed is wrong about both as it may be."""
    best = choices(weights, declared.machines, wish)[0]
    mine, theirs = declared.expected, best.expected
    if mine is None or theirs is None:
        return None
    return best if theirs.answers * (1 - theirs.band) > mine.answers * (1 + mine.band) else None


def _declared(cluster: Cluster, name: str) -> Machine:
    declared = cluster.machine(name)
    if declared.chip is None or declared.memory_gb is None:
        raise MachineUnknown(
            f"cannot plan with {name}: seen no {'chip' if declared.chip is None else 'memory_gb'}, needed both. "
            "Declare chip= and memory_gb= of the machine."
        )
    wired = None if declared.wired_limit_mb is None else declared.wired_limit_mb * 2**20
    return Machine(name, chip(declared.chip, declared.memory_gb), declared.memory_gb, wired)


def _found(cluster: Cluster, seen: Mapping[str, Seen], name: str) -> Machine | None:
    """A machine as it is once what is declared of it is so: its limit is set by the links daemon, or left as it is."""
    if name not in seen:
        return None
    mac, left = seen[name].mac, seen[name].resources
    if not isinstance(mac, Mac) or not isinstance(left, Resources):
        return None
    limit = cluster.machine(name).wired_limit_mb or left.wired_limit_mb
    return Machine(name, _chip(mac), mac.memory_gb, limit * 2**20 if limit else None)


def _chip(mac: Mac) -> Chip:
    try:
        return chip(mac.chip, mac.memory_gb)
    except MachineUnknown:
        return replace(NAMELESS, name=mac.chip)
