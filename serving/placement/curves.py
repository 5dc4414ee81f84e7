"""Speed against context and against machines, as far as memory goes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from serving.anatomy.values import Anatomy
from serving.placement import speed
from serving.placement.choosing import judged
from serving.placement.wish import Choice, Wish, setting

CONTEXTS = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


@dataclass(frozen=True)
class Curve:
    """Tokens per second of one conversation, at the places that work."""

    name: str
    points: tuple[tuple[int, float], ...]


def against_context(weights: Anatomy, choices: Sequence[Choice], wish: Wish) -> list[Curve]:
    """One curve for each choice of one copy, over contexts that are full."""
    return [
        Curve(choice.name, tuple(points))
        for choice in choices
        if choice.copies == 1 and (points := _points(weights, choice, wish))
    ]


def against_machines(choices: Sequence[Choice]) -> list[Curve]:
    """One curve for each way to split, over how many machines."""
    found: dict[str, dict[int, float]] = {}
    for choice in choices:
        if choice.copies == 1 and choice.expected is not None:
            curve = found.setdefault("one Mac" if choice.sharding == "single" else choice.sharding, {})
            curve[len(choice.machines)] = max(choice.expected.answer, curve.get(len(choice.machines), 0.0))
    return [Curve(name, tuple(sorted(points.items()))) for name, points in found.items()]


def _points(weights: Anatomy, choice: Choice, wish: Wish) -> list[tuple[int, float]]:
    at = setting(weights, choice, wish)
    return [
        (context, 1 / speed.decode_seconds(at, context))
        for context in CONTEXTS
        if judged(weights, choice, replace(wish, context=context)).works
    ]
