"""Every way to serve weights on given machines, with what it takes and what to expect, the best first. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from serving.anatomy.values import Anatomy
from serving.placement import memory, speed
from serving.placement.chips import Machine
from serving.placement.refusing import refusals
from serving.placement.speed import Setting, Sharding, Transport
from serving.placement.splitting import by_room
from serving.placement.wish import Choice, Expected, Wish, setting

Refusing = Callable[[Anatomy, Choice, Wish], list[str]]

RANKS = (2, 3, 4, 5, 6, 7, 8)
"""How many machines a copy is planned over at most."""

LEAST_BAND = 0.05
"""Of what was measured here: days differ by that, however near to each other the rounds of one day were."""


def choices(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> list[Choice]:
    """All of them: those that work by what they serve at once, the best first, then those that are refused."""
    ordered = sorted(machines, key=lambda machine: (-memory.room(machine), -machine.chip.bandwidth))
    found = [judged(weights, choice, wish) for choice in _possible(weights, ordered, wish)]
    return sorted(found, key=_rank)


def judged(weights: Anatomy, choice: Choice, wish: Wish, *, against: Refusing = refusals) -> Choice:
    """A choice with what it needs, what speaks against it, and what to expect where nothing does and chips are known.

    `against` tells what speaks against it.
    """
    at = setting(weights, choice, wish)
    slots = -(-wish.slots // choice.copies)
    known = replace(choice, needs=tuple(memory.needs(at, wish.context, slots)))
    refused = tuple(against(weights, known, wish))
    told = not refused and all(machine.chip.is_known for machine in choice.machines)
    return replace(known, refusals=refused, expected=_expected(at, choice, wish) if told else None)


def transport_between(machines: Sequence[Machine], wish: Wish) -> Transport:
    """What is asked for, else RDMA where it can be."""
    return wish.transport or ("jaccl" if all(each.chip.thunderbolt >= 5 for each in machines) else "ring")


def _possible(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> Iterator[Choice]:
    seen: set[tuple[str, int]] = set()
    for machine in machines:
        if (kind := (machine.chip.name, machine.memory_gb)) not in seen:
            yield Choice("single", (machine,), 1, ())
        seen.add(kind)
    if len(machines) > 1:
        yield Choice("single", (machines[-1],), len(machines), ())
    for ranks in range(2, min(len(machines), RANKS[-1]) + 1):
        yield from _together(weights, machines, ranks, wish)


def _together(weights: Anatomy, machines: Sequence[Machine], ranks: int, wish: Wish) -> Iterator[Choice]:
    copies = len(machines) // ranks
    for sharding in ("tensor", "pipeline"):
        yield _split(weights, sharding, machines[:ranks], 1, wish)
        if copies > 1:
            # Copies are planned as the weakest of them will be.
            yield _split(weights, sharding, machines[(copies - 1) * ranks : copies * ranks], copies, wish)


def _split(weights: Anatomy, sharding: Sharding, machines: Sequence[Machine], copies: int, wish: Wish) -> Choice:
    transport = transport_between(machines, wish)
    layers = by_room(weights, machines, wish.context, -(-wish.slots // copies)) if sharding == "pipeline" else None
    return Choice(sharding, tuple(machines), copies, (), layers, transport)


def _expected(at: Setting, choice: Choice, wish: Wish) -> Expected:
    half = max(1, wish.context // 2)
    slots = -(-wish.slots // choice.copies)
    first = speed.prompt_seconds(at, half)
    band, rests_on = _basis(at, choice, wish)
    return Expected(
        answer=1 / speed.decode_seconds(at, half),
        answers=wish.slots / speed.decode_seconds(at, half, slots),
        prompt=half / first,
        first_token=first,
        band=band,
        rests_on=rests_on,
    )


def _basis(at: Setting, choice: Choice, wish: Wish) -> tuple[float, str]:
    """What the numbers rest on: this lab where it has measured, else what was published."""
    band, published = _band(at, choice)
    here = "" if wish.here is None else wish.here.rests_on(choice)
    if wish.here is None or not here:
        return band, published
    return (max(wish.here.band, LEAST_BAND), here) if wish.here.is_the_same(choice) else (band, here)


def _band(at: Setting, choice: Choice) -> tuple[float, str]:
    if at.weights.notes and any("not validated" in note for note in at.weights.notes):
        return 0.4, "the model of speed only; nothing like these weights was measured"
    if choice.sharding == "single":
        return 0.10, "published runs on one Mac"
    if choice.transport == "ring":
        return 0.30, "a published latency of TCP; no whole run of today's software"
    if at.fast_synch:
        return 0.15, "published runs over RDMA with FAST_SYNCH on"
    return 0.20, "published runs over RDMA with FAST_SYNCH off"


def _rank(choice: Choice) -> tuple[bool, int, int]:
    served = choice.expected.answers if choice.expected else 1.0
    # What is equal within two per cent is better done by fewer machines.
    return (not choice.works, -round(math.log(served, 1.02)), choice.copies * len(choice.machines))
