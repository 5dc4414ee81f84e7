"""Why weights cannot be served a certain way: every reason, each with its numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from serving.anatomy.values import Anatomy
from serving.placement.chips import Machine
from serving.placement.memory import MARGIN, Need, room
from serving.placement.wish import GB, Choice, Wish


def refusals(weights: Anatomy, choice: Choice, wish: Wish) -> list[str]:
    """Everything that speaks against a choice; empty where it works."""
    return [*split(weights, choice), *_cabled(choice, wish), *_fitting(weights, choice, wish)]


def of_weights(weights: Anatomy, choice: Choice, wish: Wish) -> list[str]:
    """What speaks against a choice whose cables somebody else judges: that it cannot be split, or else does not fit."""
    return list(split(weights, choice)) or list(_fitting(weights, choice, wish))


def split(weights: Anatomy, choice: Choice) -> Iterator[str]:
    """Why mlx-lm cannot split the weights like that."""
    yield from _split(weights, choice)
    if choice.layers is not None and len(weights.layers) >= len(choice.machines):
        given = sum(choice.layers)
        if given != len(weights.layers):
            yield f"{list(choice.layers)} are {given} layers, '{weights.name}' has {len(weights.layers)}"


def short(choice: Choice) -> list[tuple[Machine, Need]]:
    """The machines that have too little room for what they would need, with that."""
    pairs = zip(choice.machines, choice.needs, strict=True)
    return [(machine, need) for machine, need in pairs if need.total > room(machine)]


def _split(weights: Anatomy, choice: Choice) -> Iterator[str]:
    ranks = len(choice.machines)
    if choice.sharding == "tensor":
        known = weights.tensor.get(ranks)
        if known is None:
            yield f"how mlx-lm splits '{weights.name}' over {ranks} machines was not looked at"
        elif known.refusal is not None:
            yield f"mlx-lm cannot split the tensors of '{weights.name}' over {ranks} machines: {known.refusal}"
    if choice.sharding == "pipeline" and not weights.pipeline:
        yield f"mlx-lm cannot give whole layers of '{weights.name}' ({weights.kind}) to several machines"
    if choice.sharding == "pipeline" and len(weights.layers) < ranks:
        yield f"'{weights.name}' has {len(weights.layers)} layers for {ranks} machines"


def _cabled(choice: Choice, wish: Wish) -> Iterator[str]:
    if choice.transport is None:
        return
    if choice.transport != "ring":
        for machine in choice.machines:
            if machine.chip.thunderbolt < 5:
                chip = machine.chip
                yield f"RDMA needs Thunderbolt 5; {machine.name} ({chip.name}) has Thunderbolt {chip.thunderbolt}"
    needed = _pairs(choice)
    for machine in choice.machines:
        cables = sum(machine.name in pair for pair in needed)
        if cables > machine.chip.ports:
            yield f"{machine.name} would need {cables} cables and has {machine.chip.ports} ports"
    if wish.cables is not None:
        for pair in needed:
            if frozenset(pair) not in wish.cables:
                yield f"'{pair[0]}' has no cable to '{pair[1]}', which transport '{choice.transport}' needs"


def _pairs(choice: Choice) -> list[tuple[str, str]]:
    names = [machine.name for machine in choice.machines]
    if choice.transport == "jaccl":
        return list(combinations(names, 2))
    ring = list(zip(names, names[1:] + names[:1], strict=True))
    return ring[:1] if len(names) == 2 else ring


def _fitting(weights: Anatomy, choice: Choice, wish: Wish) -> Iterator[str]:
    for machine, need in short(choice):
        yield (
            f"'{weights.name}' needs {need.total / GB:.1f} GB on {machine.name} ({parts(need, choice, wish)}); "
            f"its {limit(machine)}"
        )


def parts(need: Need, choice: Choice, wish: Wish) -> str:
    """What a need is made of."""
    slots = -(-wish.slots // choice.copies)
    return (
        f"{need.weights / GB:.1f} weights, {need.cache / GB:.1f} for {wish.context} tokens in each of {slots} slots, "
        f"{need.scratch / GB:.1f} to work with"
    )


def limit(machine: Machine) -> str:
    """What a machine can give."""
    return (
        f"{machine.memory_gb} GB let the GPU wire {machine.usable_bytes / GB:.1f} GB, "
        f"of which {room(machine) / GB:.1f} GB are planned with ({MARGIN:.0%} stay free)"
    )
