"""A lab's own constants, from what was measured of a replica: how much slower each part was than is published. Pure.

Four factors on seconds: small reductions and their bytes, as the ranks timed them; a step of one conversation, without
what talking takes of it; reading a prompt, likewise. Several conversations at once are left to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from serving.anatomy.values import Anatomy
from serving.measuring.expecting import answer_seconds, as_served, reading_seconds, slower
from serving.measuring.receipt import Measured, MeasuredReplica, Receipt
from serving.measuring.receipts import Kept
from serving.placement.speed import Setting, collective_seconds
from serving.placement.wish import Here

PLAUSIBLE: Final = (0.25, 4.0)
"""Times what is published. The evaluation's worst rows are off by less than twice; beyond four times another program,
another Mac or another kind of run was measured, and a plan that believed it would mislead."""


@dataclass(frozen=True)
class Calibration:
    """What to plan with, and what has to be said of it."""

    here: Here
    words: tuple[str, ...] = ()


def of(receipt: Receipt, measured: MeasuredReplica, weights: Anatomy) -> Calibration | None:
    """The calibration that one replica gives; None when none of its points says anything. Raises MachineUnknown."""
    at = as_served(weights, measured)
    alone = [point for point in measured.points if point.sequences == 1 and point.others == 0]
    if not alone:
        return None
    words: list[str] = []
    at = slower(at, **_talking(at, measured, words))
    read = max(alone, key=lambda point: point.prompt_tokens)
    written = [point for point in alone if point.tokens_per_second is not None]
    prompt = _factor(at, [read], reading_seconds, lambda point: point.first_token_seconds.median, "prompt_factor")
    at = slower(at, prompt_factor=_plausible("reading prompts", prompt, words))
    if written:
        answer = _factor(at, written, answer_seconds, _step, "decoding_factor")
        at = slower(at, decoding_factor=_plausible("writing", answer, words))
    else:
        words.append("how fast answers are written was not measured; what is published is used for it")
    spreads = [point.tokens_per_second.spread for point in written if point.tokens_per_second]
    here = Here(
        constants=at.constants,
        sharding=at.sharding,
        ranks=at.ranks,
        transport=at.transport,
        chips=frozenset(machine.chip for machine in at.machines),
        day=receipt.day,
        band=max([read.first_token_seconds.spread, *spreads]),
    )
    return Calibration(here, tuple(words))


def find(
    kept: Kept, kind: str, software: tuple[str, str], name: str
) -> tuple[tuple[Receipt, MeasuredReplica] | None, tuple[str, ...]]:
    """The newest that says something of weights of a kind with this MLX and mlx-lm, the replica's own first.

    And why those that were measured of the replica later are not used.
    """
    found = [(receipt, each) for receipt in kept.receipts for each in receipt.replicas]
    own = [(receipt, each) for receipt, each in found if each.name == name]
    reasons: list[str] = []
    for receipt, each in own:
        why = _against(each, kind, software)
        if not why:
            return (receipt, each), tuple(reasons)
        reasons.append(f"what was measured of '{name}' on {receipt.day} is not used: {why}")
    others = [pair for pair in found if not _against(pair[1], kind, software)]
    return (others[0] if others else None), tuple(reasons[:1])


def _against(measured: MeasuredReplica, kind: str, software: tuple[str, str]) -> str:
    if measured.kind != kind:
        return f"it served {measured.kind}, planned are {kind}"
    if measured.software != software:
        mlx, mlx_lm = measured.software
        return f"it ran mlx {mlx} and mlx-lm {mlx_lm}, planned are {software[0]} and {software[1]}. Bench again"
    return ""


def _talking(at: Setting, measured: MeasuredReplica, words: list[str]) -> dict[str, float]:
    told = measured.collective
    if told is None or at.ranks < 2:
        return {}
    small, large = collective_seconds(at, told.small_bytes), collective_seconds(at, told.large_bytes)
    factors = {"latency_factor": _plausible("a small reduction", told.seconds / small, words)}
    if told.bytes_per_second is None:
        words.append("how fast reductions move bytes could not be told; what is published is used for it")
        return factors
    published = (told.large_bytes - told.small_bytes) / (large - small)
    return factors | {
        "transfer_factor": _plausible("the bytes of a reduction", published / told.bytes_per_second, words)
    }


def _factor(
    at: Setting,
    points: Sequence[Measured],
    model: Callable[[Setting, Measured], float],
    seen: Callable[[Measured], float],
    name: str,
) -> float:
    """By what factor a part has to be slower for the points to come out as they were seen."""
    found: list[float] = []
    for point in points:
        # The part's seconds are in proportion to its factor, and what talking takes is the rest.
        once, twice = model(slower(at, **{name: 1.0}), point), model(slower(at, **{name: 2.0}), point)
        part = twice - once
        found.append((seen(point) - (once - part)) / part)
    return median(found)


def _step(point: Measured) -> float:
    return point.sequences / point.tokens_per_second.median if point.tokens_per_second else 0.0


def _plausible(what: str, factor: float, words: list[str]) -> float:
    least, most = PLAUSIBLE
    if least <= factor <= most:
        return factor
    taken = min(most, max(least, factor))
    words.append(
        f"{what} took {factor:.3g} times what is published, which is beyond belief for these Macs; {taken:g} times is "
        "planned with. Look what else runs there, and whether they are what is declared"
    )
    return taken
