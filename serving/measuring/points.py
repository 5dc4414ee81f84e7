"""What to measure of a replica, and when to stop, decided anew after each sample. Pure.

How many tokens and rounds there is time for follows from what the samples so far showed: a replica that writes 50
tokens per second takes about a minute, one that writes three takes about two. What there was no time for is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from serving.measuring.sample import Order, Sample

USUAL_SECONDS: Final = 60.0
"""When no point is asked again."""
MOST_SECONDS: Final = 120.0
"""When none is asked for the first time."""
LONGEST_STEP_SECONDS: Final = 1.0
"""Ranks that take no step for four seconds are taken for frozen (`serving.conductor.observation.Limits`); more at once
is not asked where a step would come as near to that as this."""
ROUNDS: Final = 3

_FIRST_NUMBERS: Final = 16
"""The first prompt: nothing is known yet. It also wakes what sleeps, and does not count."""
_SHORT: Final = 256
_LONG_PROMPT_SECONDS: Final = 8.0
"""A longer prompt than is read in this time says no more."""
_ANSWER_SECONDS: Final = 1.5
_ANSWER_TOKENS: Final = (8, 64)
_LEAST_SECONDS: Final = 10.0
"""Before a sample is given up: that of an idle replica which is slower than it seemed."""


@dataclass(frozen=True)
class Point:
    """A prompt of about so many tokens, asked so often at the same time."""

    tokens: int
    sequences: int

    def __str__(self) -> str:
        at_once = "" if self.sequences == 1 else f", {self.sequences} at once"
        return f"prompts of about {self.tokens} tokens{at_once}"


@dataclass(frozen=True)
class Taken:
    """A sample; `point` is None for the first one, which only shows what to ask."""

    point: Point | None
    order: Order
    sample: Sample


@dataclass(frozen=True)
class Asking:
    """What to ask next."""

    point: Point | None
    order: Order

    @property
    def words(self) -> str:
        """What is being done, for whoever waits."""
        return "a first look" if self.point is None else str(self.point)


@dataclass(frozen=True)
class Done:
    """Nothing more, and what was left out, each with its reason."""

    left_out: tuple[str, ...] = ()


def following(
    context: int, slots: int, taken: Sequence[Taken], spent: float, before: Collection[int] = ()
) -> Asking | Done:
    """What to ask of a replica next, after so many seconds.

    `context` is what prompt and answer may have together; `before` are the lengths that were asked on another day,
    which are asked again where that is not much too long, so that days can be compared.
    """
    known = [each for each in taken if not each.sample.problem]
    if not known:
        return Asking(None, Order(1, _FIRST_NUMBERS, min(_ANSWER_TOKENS[1] // 2, context // 2), MOST_SECONDS / 2))
    shown = _shown(known)
    wanted = _points(context, slots, known, shown, before)
    for number in range(ROUNDS):
        for point in wanted:
            count = sum(each.point == point for each in known)
            if count == number and not _against(point, shown, spent, count):
                return Asking(point, _order(point, context, shown, spent))
    return Done(tuple(_left_out(wanted, known, shown, spent)))


@dataclass(frozen=True)
class _Shown:
    """What is known by now."""

    tokens_per_number: float
    prompt_rate: float
    """Tokens per second."""
    steps: dict[int, float]
    """Seconds of a step, by how many sequences."""
    given_up: tuple[Point, ...]
    """Points whose time was over before any answer was whole."""

    def step(self, sequences: int) -> float:
        """Seconds that one step of so many will take at most, as far as can be told."""
        known = max((count for count in self.steps if count <= sequences), default=None)
        return 0.05 * sequences if known is None else self.steps[known] * sequences / known


def _shown(known: Sequence[Taken]) -> _Shown:
    numbers = sum(each.order.numbers * len(each.sample.prompt_tokens) for each in known)
    steps: dict[int, list[float]] = {}
    for each in known:
        if each.sample.tokens_per_second:
            seconds = each.order.sequences / each.sample.tokens_per_second
            steps.setdefault(each.order.sequences, []).append(seconds)
    return _Shown(
        tokens_per_number=max(0.1, sum(sum(each.sample.prompt_tokens) for each in known) / max(1, numbers)),
        prompt_rate=max((_prompt_rate(each.sample) for each in known), default=0.0) or 1.0,
        steps={count: median(seconds) for count, seconds in steps.items()},
        given_up=tuple(each.point for each in known if each.point and not each.sample.first_token_seconds),
    )


def _prompt_rate(sample: Sample) -> float:
    if not sample.first_token_seconds:
        return 0.0
    read = sum(sample.prompt_tokens) - sum(sample.cached_tokens)
    return read / max(max(sample.first_token_seconds), 1e-6)


def _points(context: int, slots: int, known: Sequence[Taken], shown: _Shown, before: Collection[int]) -> list[Point]:
    """The most telling first."""
    short = max(16, min(_SHORT, context // 8))
    asked = next((each.point.tokens for each in known if each.point and each.point.tokens > short), None)
    # Fixed once it was asked: later samples may show another rate.
    long = asked or _long(context, short, shown.prompt_rate * _LONG_PROMPT_SECONDS, before)
    single = [Point(short, 1)]
    has_short = any(each.point == single[0] for each in known)
    # How long a long one may be is told by a short one better than by the first look.
    longer = [Point(long, 1)] if has_short and long >= 2 * short else []
    # From few to many: each tells whether a step of the next will not be too long.
    counts = {count for count in (2, -(-slots // 2), slots) if 1 < count <= slots}
    many = [Point(short, count) for count in sorted(counts)]
    both = [Point(long, slots)] if longer and slots > 1 else []
    return [*single, *longer, *many, *both]


def _long(context: int, short: int, most: float, before: Collection[int]) -> int:
    again = [tokens for tokens in before if short < tokens <= min(context // 2, 2 * most)]
    return max(again, default=_power_of_two(min(context // 2, most)))


def _power_of_two(tokens: float) -> int:
    """The largest that is no larger."""
    return 2 ** (int(max(1, tokens)).bit_length() - 1)


def _cost(point: Point, shown: _Shown) -> float:
    prompt = point.tokens * point.sequences / shown.prompt_rate
    return prompt + _answer_tokens(point, shown) * shown.step(point.sequences)


def _answer_tokens(point: Point, shown: _Shown) -> int:
    least, most = _ANSWER_TOKENS
    return int(min(most, max(least, _ANSWER_SECONDS / max(shown.step(point.sequences), 1e-6))))


def _against(point: Point, shown: _Shown, spent: float, count: int) -> str:
    """Why a point is not asked, which was asked so often already; "" when it is."""
    for less in shown.given_up:
        if less.tokens <= point.tokens and less.sequences <= point.sequences:
            return f"{less} took too long already"
    step = shown.step(point.sequences)
    if point.sequences > 1 and step > LONGEST_STEP_SECONDS:
        return f"a step would take up to {step:.1f} s, and ranks that take none for 4 s are taken for frozen"
    cost = _cost(point, shown)
    if spent + cost > (USUAL_SECONDS if count else MOST_SECONDS):
        return f"it would take about {cost:.0f} s, and {spent:.0f} s were spent"
    return ""


def _order(point: Point, context: int, shown: _Shown, spent: float) -> Order:
    answer = min(_answer_tokens(point, shown), context // 4)
    numbers = max(1, round(point.tokens / shown.tokens_per_number))
    patience = max(_LEAST_SECONDS, 3 * _cost(point, shown))
    return Order(point.sequences, numbers, answer, min(patience, max(_LEAST_SECONDS, MOST_SECONDS - spent)))


def _left_out(wanted: Sequence[Point], known: Sequence[Taken], shown: _Shown, spent: float) -> Iterator[str]:
    for point in wanted:
        if not any(each.point == point for each in known):
            yield f"{point}: {_against(point, shown, spent, 0)}"
