"""What would work in place of a declared replica that cannot: the least change first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from serving.anatomy.values import Anatomy
from serving.placement import memory, refusing
from serving.placement.chips import Machine
from serving.placement.choosing import choices, judged
from serving.placement.searching import fewer_slots, longest_context, more_machines
from serving.placement.splitting import by_memory
from serving.placement.wish import Choice, Wish

_MIB = 2**20


def nearest(weights: Anatomy, declared: Choice, wish: Wish) -> Iterator[str]:
    """Changes, any one of which makes the weights fit and split, in the words of the inventory."""
    with_these = list(_with_these_machines(weights, declared, wish))
    yield from with_these
    if not with_these and (found := more_machines(weights, declared.machines, wish)):
        count, machine, choice = found
        kind = f"like {machine.name}, {machine.memory_gb} GB"
        yield f"{count} more Mac{'s' if count > 1 else ''} ({kind}) and {choice.name}"


def _with_these_machines(weights: Anatomy, declared: Choice, wish: Wish) -> Iterator[str]:

    def works(choice: Choice, asked: Wish = wish) -> bool:
        return judged(weights, choice, asked, against=refusing.of_weights).works

    yield from _other_layers(weights, declared, wish, works)
    if refusing.short(declared):
        yield from _raised_limits(declared, works)
    yield from _another_way(weights, declared, wish)
    if context := longest_context(wish, lambda asked: works(declared, asked)):
        yield f"context_tokens={context}"
    if slots := fewer_slots(wish, lambda asked: works(declared, asked)):
        yield f"slots={slots}"


def _other_layers(weights: Anatomy, declared: Choice, wish: Wish, works: Callable[[Choice], bool]) -> Iterator[str]:
    if declared.sharding != "pipeline":
        return
    layers = by_memory(weights, declared.machines, wish.context, wish.slots)
    if works(replace(declared, layers=layers)):
        yield f"pipeline_layers='by memory', which is {list(layers)}"


def _raised_limits(declared: Choice, works: Callable[[Choice], bool]) -> Iterator[str]:
    raised = [_raised(machine) for machine in declared.machines]
    if raised != list(declared.machines) and works(replace(declared, machines=tuple(raised))):
        short = [machine for machine, _ in refusing.short(declared)]
        yield ", ".join(f"wired_limit_mb={_largest(machine)} of {machine.name}" for machine in short)


def _raised(machine: Machine) -> Machine:
    largest = _largest(machine) * _MIB
    return replace(machine, wired_limit_bytes=largest) if largest > machine.usable_bytes else machine


def _largest(machine: Machine) -> int:
    return memory.largest_limit_mb(machine.memory_gb * 2**30)


def _another_way(weights: Anatomy, declared: Choice, wish: Wish) -> Iterator[str]:
    """The best of the other ways over the same machines, all of them or some."""
    best = _best(choices(weights, declared.machines, wish))
    if best is not None and (best.sharding, len(best.machines)) != (declared.sharding, len(declared.machines)):
        yield way(best)


def _best(found: Sequence[Choice]) -> Choice | None:
    return found[0] if found and found[0].works else None


def way(choice: Choice) -> str:
    """How a choice is declared."""
    machines = ", ".join(machine.name for machine in choice.machines)
    split = f", sharding='{choice.sharding}'" if choice.sharding != "single" else ""
    if choice.copies > 1:
        of = "one machine" if len(choice.machines) == 1 else f"{len(choice.machines)} machines"
        return f"{choice.copies} replicas of {of} each{split}"
    return f"machines [{machines}]{split}"
