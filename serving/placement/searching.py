"""How much less would have to be wished, or how many more Macs there would have to be, for weights to work. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from serving.anatomy.values import Anatomy
from serving.placement import memory
from serving.placement.chips import Machine
from serving.placement.choosing import choices
from serving.placement.wish import Choice, Wish

MOST_MACHINES = 8
SMALLEST_CONTEXT = 256

Works = Callable[[Wish], bool]


def longest_context(wish: Wish, works: Works) -> int | None:
    """The longest context that works, to a 256th of what was wished; None where no shorter one does."""
    low, high = SMALLEST_CONTEXT, wish.context
    if low >= high or not works(replace(wish, context=low)):
        return None
    while high - low > max(256, wish.context // 256):
        middle = (low + high) // 2
        low, high = (middle, high) if works(replace(wish, context=middle)) else (low, middle)
    context = low - low % 256
    return context if works(replace(wish, context=context)) else None


def fewer_slots(wish: Wish, works: Works) -> int | None:
    """The most slots below those wished that work."""
    return next((slots for slots in range(wish.slots - 1, 0, -1) if works(replace(wish, slots=slots))), None)


def more_machines(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> tuple[int, Machine, Choice] | None:
    """How many more of the largest machine it takes, that machine, and the best choice then."""
    largest = max(machines, key=memory.room)
    for more in range(1, MOST_MACHINES - len(machines) + 1):
        added = [replace(largest, name=f"another-{number}") for number in range(1, more + 1)]
        found = choices(weights, [*machines, *added], replace(wish, cables=None))
        if found and found[0].works:
            return more, largest, found[0]
    return None
