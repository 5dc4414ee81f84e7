"""The winner among choices in a sentence, and where there is none the nearest wish that could be met. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from serving.anatomy.values import Anatomy
from serving.errors import PlacementRefused
from serving.placement import memory
from serving.placement.chips import Machine
from serving.placement.choosing import choices
from serving.placement.searching import SMALLEST_CONTEXT, fewer_slots, longest_context, more_machines
from serving.placement.wish import GB, Choice, Wish


@dataclass(frozen=True)
class Decision:
    """All choices, the best first, and what to say of them."""

    weights: Anatomy
    wish: Wish
    choices: tuple[Choice, ...]
    sentence: str
    nearest: tuple[str, ...] = ()
    """What would work, where nothing does; the least change first."""

    @property
    def winner(self) -> Choice | None:
        """The best choice, if any works."""
        return self.choices[0] if self.choices and self.choices[0].works else None


def decide(weights: Anatomy, machines: Sequence[Machine], wish: Wish, *, lighter: Sequence[Anatomy] = ()) -> Decision:
    """How to serve weights on machines; `lighter` are the same weights with fewer bits, tried where nothing works."""
    found = tuple(choices(weights, machines, wish))
    if not found:
        raise PlacementRefused(f"cannot place '{weights.name}': no machine was given. Name at least one.")
    if found[0].works:
        return Decision(weights, wish, found, _praise(weights, found, wish))
    nearest = tuple(_nearest(weights, machines, wish, lighter))
    return Decision(weights, wish, found, _refusal(weights, found, nearest), nearest)


def _praise(weights: Anatomy, found: Sequence[Choice], wish: Wish) -> str:
    best = found[0]
    alone = next((each for each in found if each.works and each.sharding == "single" and each.copies == 1), None)
    said = f"Serve '{weights.name}' by {best.name}: {_numbers(best, wish)}."
    if alone is None:
        return f"{said} No Mac alone holds it ({_needed_alone(found)})."
    if best.sharding == "single":
        split = next((each for each in found if each.works and each.sharding != "single"), None)
        return f"{said} {_one_is_better(alone, split)}" if split else said
    return f"{said} One Mac alone: {_numbers(alone, wish)}."


def _one_is_better(alone: Choice, split: Choice) -> str:
    mine, theirs = alone.expected, split.expected
    if mine is None or theirs is None:
        return ""
    if mine.answer >= theirs.answer:
        return (
            f"One Mac is the better answer: {split.name} gives one conversation {theirs.answer:.0f} tokens per second, "
            f"one Mac {mine.answer:.0f}; further Macs serve more as copies."
        )
    return (
        f"For one conversation alone {split.name} is faster ({theirs.answer:.0f} tokens per second, one Mac "
        f"{mine.answer:.0f}); for all slots together it is not."
    )


def _numbers(choice: Choice, wish: Wish) -> str:
    expected = choice.expected
    if expected is None:
        return "nothing to expect"
    return (
        f"{expected.answer:.1f} tokens per second for one conversation, {expected.answers:.0f} for {wish.slots} at "
        f"once, within {expected.band:.0%}"
    )


def _needed_alone(found: Sequence[Choice]) -> str:
    alone = next(each for each in found if each.sharding == "single")
    need, machine = alone.needs[0], alone.machines[0]
    return f"{need.total / GB:.0f} GB needed, {memory.room(machine) / GB:.0f} GB to plan with on {machine.name}"


def _refusal(weights: Anatomy, found: Sequence[Choice], nearest: Sequence[str]) -> str:
    closest = min(found, key=_shortage)
    step = (
        f"The nearest that works: {nearest[0]}." if nearest else "Nothing near it works either: choose other weights."
    )
    return f"cannot place '{weights.name}', nearest by {closest.name}: {'; '.join(closest.refusals)}. {step}"


def _shortage(choice: Choice) -> float:
    """How far a choice is from working: by memory where that is all, else very far."""
    lacking = [need.total / memory.room(machine) for machine, need in zip(choice.machines, choice.needs, strict=True)]
    others = len(choice.refusals) - sum(each > 1 for each in lacking)
    return max(lacking, default=1.0) + 1000 * others


def _nearest(weights: Anatomy, machines: Sequence[Machine], wish: Wish, lighter: Sequence[Anatomy]) -> Iterator[str]:
    yield from _with_less_context(weights, machines, wish)
    yield from _with_fewer_slots(weights, machines, wish)
    for other in lighter:
        if (found := _best(other, machines, wish)) is not None:
            yield f"{other.quantisation}, by {found.name}"
            break
    yield from _with_more_machines(weights, machines, wish)
    for least in (replace(wish, context=SMALLEST_CONTEXT, slots=1),):
        for other in lighter:
            if (found := _best(other, machines, least)) is not None and _best(other, machines, wish) is None:
                yield f"{other.quantisation} and less context, by {found.name}"
                break


def _best(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> Choice | None:
    found = choices(weights, machines, wish)
    return found[0] if found and found[0].works else None


def _with_less_context(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> Iterator[str]:
    context = longest_context(wish, lambda asked: _best(weights, machines, asked) is not None)
    if context and (found := _best(weights, machines, replace(wish, context=context))) is not None:
        yield f"a context of {context} tokens, by {found.name}"


def _with_fewer_slots(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> Iterator[str]:
    slots = fewer_slots(wish, lambda asked: _best(weights, machines, asked) is not None)
    if slots and (found := _best(weights, machines, replace(wish, slots=slots))) is not None:
        yield f"{slots} slot{'s' if slots > 1 else ''}, by {found.name}"


def _with_more_machines(weights: Anatomy, machines: Sequence[Machine], wish: Wish) -> Iterator[str]:
    if added := more_machines(weights, machines, wish):
        more, largest, found = added
        kind = f"{largest.chip.name} with {largest.memory_gb} GB"
        yield f"{more} more Mac{'s' if more > 1 else ''} ({kind}), by {found.name}"
