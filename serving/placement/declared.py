"""A declared replica as something to plan: its machines, and what it must be able to do. Pure."""

from __future__ import annotations

from serving.cluster import Cluster
from serving.declared import Replica
from serving.errors import MachineUnknown
from serving.placement.chips import Machine, chip
from serving.placement.wish import Wish


def machines_of(cluster: Cluster, replica: Replica) -> list[Machine]:
    """The machines of a replica, in rank order. Raises MachineUnknown where chip or memory are not declared."""
    return [_machine(cluster, name) for name in replica.machines]


def wish_of(cluster: Cluster, replica: Replica) -> Wish:
    """What is declared of a replica."""
    return Wish(
        context=replica.context_tokens,
        slots=replica.slots,
        transport=replica.transport,
        cables=frozenset(frozenset(link.between) for link in cluster.links),
    )


def _machine(cluster: Cluster, name: str) -> Machine:
    declared = cluster.machine(name)
    if declared.chip is None or declared.memory_gb is None:
        raise MachineUnknown(
            f"cannot plan with {name}: seen no {'chip' if declared.chip is None else 'memory_gb'}, needed both. "
            "Declare chip= and memory_gb= of the machine."
        )
    wired = None if declared.wired_limit_mb is None else declared.wired_limit_mb * 2**20
    return Machine(name, chip(declared.chip, declared.memory_gb), declared.memory_gb, wired)
