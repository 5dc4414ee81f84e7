"""What several samples of a point say together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from serving.measuring.points import Point, Taken
from serving.measuring.receipt import Figure, Measured


def summaries(taken: Sequence[Taken]) -> list[Measured]:
    """Every point that was asked, in the order it was asked first; samples beside which others were served too."""
    points = dict.fromkeys(each.point for each in taken if each.point is not None)
    return [found for point in points if (found := _summary(point, [e for e in taken if e.point == point])) is not None]


def notes(taken: Sequence[Taken]) -> Iterator[str]:
    """What should be known of the samples beside their medians."""
    for point in dict.fromkeys(each.point for each in taken if each.point is not None):
        own = [each.sample for each in taken if each.point == point]
        others = sum(sample.others for sample in own)
        if others:
            yield f"{point}: {others} requests of others were served meanwhile, so this is slower than it can be"
        cut = sum(sample.cut for sample in own)
        if cut:
            yield f"{point}: {cut} of {len(own)} rounds were cut off, the time was over"
        for problem in dict.fromkeys(sample.problem for sample in own if sample.problem):
            yield f"{point}: {problem}"
        if any(sample.prompt_tokens for sample in own) and not any(sample.tokens_per_second for sample in own):
            yield f"{point}: the answers ended too soon to tell how fast they are written"
        cached = sum(sum(sample.cached_tokens) for sample in own)
        read = sum(sum(sample.prompt_tokens) for sample in own)
        if cached > 0.05 * read:
            yield f"{point}: {cached} of {read} tokens had been read before; prompt speed does not count them"


def _summary(point: Point, taken: Sequence[Taken]) -> Measured | None:
    samples = [each.sample for each in taken if each.sample.first_token_seconds]
    if not samples:
        return None
    firsts = [median(sample.first_token_seconds) for sample in samples]
    rates = [sample.tokens_per_second for sample in samples if sample.tokens_per_second]
    read = [
        (sum(sample.prompt_tokens) - sum(sample.cached_tokens)) / max(sample.first_token_seconds) for sample in samples
    ]
    return Measured(
        wanted_tokens=point.tokens,
        sequences=point.sequences,
        prompt_tokens=round(median(count for sample in samples for count in sample.prompt_tokens)),
        answer_tokens=round(median(count for sample in samples for count in sample.answer_tokens)),
        rounds=len(samples),
        others=sum(sample.others for sample in samples),
        tokens_per_second=figure(rates) if rates else None,
        first_token_seconds=figure(firsts),
        prompt_tokens_per_second=figure(read),
    )


def figure(values: Sequence[float]) -> Figure:
    """The median, and half of what lies between the least and the most as a share of it."""
    middle = median(values)
    return Figure(median=middle, spread=(max(values) - min(values)) / 2 / middle if middle else 0.0)
