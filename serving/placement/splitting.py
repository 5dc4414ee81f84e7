"""How many layers each machine of a pipeline holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from serving.anatomy.values import Anatomy
from serving.layers import proportional
from serving.placement import memory
from serving.placement.chips import Machine
from serving.placement.speed import Setting, even


def by_room(weights: Anatomy, machines: Sequence[Machine], context: int, slots: int) -> tuple[int, ...]:
    """mlx-lm's even split where every machine has room for it, else one by their memory."""
    equal = even(len(weights.layers), len(machines))
    if len(weights.layers) >= len(machines) and _fits(weights, machines, equal, context, slots):
        return equal
    return by_memory(weights, machines, context, slots)


def by_memory(weights: Anatomy, machines: Sequence[Machine], context: int, slots: int) -> tuple[int, ...]:
    """A split in proportion to the room that machines have; where that does not fit, the one nearest to fitting.

    Room is what is left once a machine holds its own embedding and head and what it works with.
    """
    count, ranks = len(weights.layers), len(machines)
    if count < ranks:
        return (1,) * ranks
    own = weights.outside_bytes + max(weights.scratch.values(), default=0)
    parts = proportional(count, [max(1, memory.room(machine) - own) for machine in machines])
    # Layers are of different sizes, and there are whole ones only.
    return parts if _fits(weights, machines, parts, context, slots) else _least_full(weights, machines, context, slots)


def _fits(weights: Anatomy, machines: Sequence[Machine], layers: tuple[int, ...], context: int, slots: int) -> bool:
    at = Setting(weights, tuple(machines), "pipeline", "jaccl", layers=layers)
    pairs = zip(machines, memory.needs(at, context, slots), strict=True)
    return all(need.total <= memory.room(machine) for machine, need in pairs)


def _least_full(weights: Anatomy, machines: Sequence[Machine], context: int, slots: int) -> tuple[int, ...]:
    """The split whose fullest machine is the least full, by what each machine has room for."""
    count, own = len(weights.layers), weights.outside_bytes + max(weights.scratch.values(), default=0)
    held = list(accumulate((layer.bytes + layer.cache.held(context) * slots for layer in weights.layers), initial=0.0))
    # Of the machines from the last one on, which hold the first layers: how full they get, and how many each has.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for machine in reversed(machines):
        room = max(1, memory.room(machine))
        best = {
            end: min(
                (max(fullest, (own + held[end] - held[first]) / room), (end - first, *parts))
                for first, (fullest, parts) in best.items()
                if first < end
            )
            for end in range(min(best) + 1, count + 1)
        }
    return best[count][1]
