"""How many layers each machine of a pipeline holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from serving.anatomy.values import Anatomy
from serving.layers import proportional
from serving.placement import memory
from serving.placement.chips import Machine
from serving.placement.speed import Setting, even


def by_room(weights: Anatomy, machines: Sequence[Machine], context: int, slots: int) -> tuple[int, ...]:
    """mlx-lm's even split where every machine has room for it, else one in proportion to the room they have.

    Room is what is left once a machine holds its own embedding and head and what it works with.
    """
    count, ranks = len(weights.layers), len(machines)
    if count < ranks:
        return (1,) * ranks
    equal = even(count, ranks)
    if _fits(weights, machines, equal, context, slots):
        return equal
    own = weights.outside_bytes + max(weights.scratch.values(), default=0)
    return proportional(count, [max(1, memory.room(machine) - own) for machine in machines])


def _fits(weights: Anatomy, machines: Sequence[Machine], layers: tuple[int, ...], context: int, slots: int) -> bool:
    at = Setting(weights, tuple(machines), "pipeline", "jaccl", layers=layers)
    pairs = zip(machines, memory.needs(at, context, slots), strict=True)
    return all(need.total <= memory.room(machine) for machine, need in pairs)
