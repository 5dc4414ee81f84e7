"""Why weights cannot be served a certain way: every reason, each with its numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from serving.anatomy.values import Anatomy
from serving.placement.chips import Machine
from serving.placement.memory import MARGIN, room
from serving.placement.wish import GB, Choice, Wish


def refusals(weights: Anatomy, choice: Choice, wish: Wish) -> list[str]:
    """Everything that speaks against a choice; empty where it works."""
    return [*_split(weights, choice), *_cabled(choice, wish), *_fitting(weights, choice, wish)]


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
    for machine, need in zip(choice.machines, choice.needs, strict=True):
        if need.total <= room(machine):
            continue
        yield (
            f"'{weights.name}' needs {need.total / GB:.1f} GB on {machine.name} ({need.weights / GB:.1f} weights, "
            f"{need.cache / GB:.1f} for {wish.context} tokens in each of {_slots(choice, wish)} slots, "
            f"{need.scratch / GB:.1f} to work with); {_limit(machine)}"
        )


def _slots(choice: Choice, wish: Wish) -> int:
    return -(-wish.slots // choice.copies)


def _limit(machine: Machine) -> str:
    return (
        f"its {machine.memory_gb} GB let the GPU wire {machine.usable_bytes / GB:.1f} GB, "
        f"of which {room(machine) / GB:.1f} GB are planned with ({MARGIN:.0%} stay free)"
    )
