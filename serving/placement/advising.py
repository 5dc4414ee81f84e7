"""What is told of declared replicas that work: what to expect of them, and where another way is much better. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from serving.placement.declared import Placed
from serving.placement.mending import way
from serving.placement.wish import GB, Choice, Expected
from serving.seen import Problem


def advice(placed: Mapping[str, Placed | Problem]) -> list[str]:
    """A line for each replica that would serve much more otherwise, or of which nobody can tell how fast it will be."""
    known = [each for each in placed.values() if isinstance(each, Placed)]
    return [line for each in known for line in _of_one(each)]


def expected(placed: Placed) -> str:
    """What a replica is expected to hold and to do, in a line."""
    choice = placed.choice
    held = " + ".join(_amount(need.weights) for need in choice.needs)
    peak = max((need.total for need in choice.needs), default=0)
    layers = f", {' + '.join(map(str, choice.layers))} layers" if choice.layers else ""
    memory = f"{held} of weights in rank order{layers}, at most {_amount(peak)} with {_conversations(placed)}"
    return f"{memory}; {_speed(choice.expected)}"


def _of_one(placed: Placed) -> Iterator[str]:
    mine = placed.choice.expected
    if placed.unknown:
        chips = ", ".join(dict.fromkeys(placed.unknown))
        yield f"note: replica {placed.name}: nobody knows how fast {chips} is; what it needs of memory was judged."
    if mine is not None and placed.better is not None and placed.better.expected is not None:
        yield (
            f"note: replica {placed.name}: as declared ({_called(placed.choice)}) {_numbers(mine)}; "
            f"{_called(placed.better)} {_numbers(placed.better.expected)}. To have that: {way(placed.better)}."
        )


def _called(choice: Choice) -> str:
    return choice.name if choice.transport is None else f"{choice.name} by {choice.transport}"


def _numbers(expected: Expected) -> str:
    return (
        f"{expected.answers:.0f} tokens per second in all slots together and {expected.answer:.0f} for one "
        f"conversation are expected, within {expected.band:.0%}"
    )


def _speed(expected: Expected | None) -> str:
    if expected is None:
        return "how fast, nobody knows of these chips"
    return (
        f"{expected.answer:.1f} tokens per second for one conversation, {expected.answers:.0f} for all slots, "
        f"{expected.prompt:.0f} of a prompt, within {expected.band:.0%} ({expected.rests_on})"
    )


def _amount(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / 1e6:.1f} MB"


def _conversations(placed: Placed) -> str:
    return f"{placed.wish.slots} conversations of {placed.wish.context} tokens"
