"""Predicted beside published: errors by group, and whether the published winner was named. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from serving.errors import WeightsUnreadable
from serving.evaluation.judging import Case, Left, judged
from serving.evaluation.rows import Row
from serving.evaluation.training import is_training

BOUNDS: Mapping[str, float] = {
    "answers on clusters": 0.09,
    "answers on one machine": 0.10,
    "prompts on one machine": 0.08,
    "peak memory": 0.05,
}
"""What the mean absolute error of a group may be; other groups are told and not held to anything."""

TOO_LITTLE_MEMORY = -0.05
"""No prediction of memory may be further below what was measured."""


@dataclass(frozen=True)
class Compared:
    """One row, predicted."""

    case: Case
    predicted: float
    training: bool

    @property
    def published(self) -> float:
        """What was measured."""
        return self.case.row.number or 0.0

    @property
    def error(self) -> float:
        """Predicted over published, less one."""
        return self.predicted / self.published - 1

    @property
    def group(self) -> str:
        """Which of the groups it is counted in."""
        if self.case.metric == "memory":
            return "peak memory"
        what = "answers" if self.case.metric == "decode" else "prompts"
        if self.case.sequences > 1 or self.case.row.metric.startswith("aggregate"):
            return f"{what} of several at once, not validated"
        return f"{what} on {'one machine' if self.case.sharding == 'single' else 'clusters'}"


@dataclass(frozen=True)
class Group:
    """The errors of one group, without the rows that constants were fitted on."""

    name: str
    rows: int
    mean_error: float
    lowest: float
    highest: float

    @property
    def bound(self) -> float | None:
        """What its mean error may be."""
        return BOUNDS.get(self.name)

    @property
    def holds(self) -> bool | None:
        """Whether it is within its bounds; None where it has none."""
        if self.bound is None:
            return None
        return self.mean_error <= self.bound and (self.name != "peak memory" or self.lowest >= TOO_LITTLE_MEMORY)


@dataclass(frozen=True)
class Contest:
    """The same weights on the same machines, alone or split: which way was fastest, and which was predicted to be."""

    what: str
    machines: int
    published: str
    predicted: str

    @property
    def named(self) -> bool:
        """Whether the published winner was named."""
        return self.published == self.predicted


@dataclass(frozen=True)
class Report:
    """Everything that can be said of a file."""

    compared: tuple[Compared, ...]
    left: tuple[Left, ...]
    groups: tuple[Group, ...]
    contests: tuple[Contest, ...]


def compare(rows: Iterable[Row], known: Mapping[str, object], predict: Callable[[Case], float]) -> Report:
    """Every row judged and predicted; `known` are the names of dimensions that are there."""
    compared: list[Compared] = []
    left: list[Left] = []
    for row in rows:
        case = judged(row, known)
        if isinstance(case, Left):
            left.append(case)
            continue
        try:
            compared.append(Compared(case, predict(case), is_training(row)))
        except WeightsUnreadable as refusal:
            left.append(Left(row, str(refusal)))
    return Report(tuple(compared), tuple(left), tuple(_groups(compared)), tuple(_contests(compared)))


def _groups(compared: Sequence[Compared]) -> Iterator[Group]:
    errors: dict[str, list[float]] = defaultdict(list)
    for each in compared:
        if not each.training:
            errors[each.group].append(each.error)
    for name, found in sorted(errors.items()):
        yield Group(name, len(found), fmean(map(abs, found)), min(found), max(found))


def _contests(compared: Sequence[Compared]) -> Iterator[Contest]:
    """One for each number of machines: alone, tensor and pipeline, as far as they were published."""
    alike: dict[tuple[object, ...], list[Compared]] = defaultdict(list)
    for each in compared:
        if each.case.metric != "memory" and each.case.sequences == 1:
            row = each.case.row
            alike[each.case.weights, row.quant, row.context, each.case.metric, row.source, row.framework].append(each)
    for found in alike.values():
        for count in sorted({len(each.case.machines) for each in found} - {1}):
            yield from _contest([each for each in found if len(each.case.machines) in (1, count)], count)


def _contest(found: Sequence[Compared], count: int) -> Iterator[Contest]:
    ways: dict[str, list[Compared]] = defaultdict(list)
    for each in found:
        ways[each.case.sharding].append(each)
    if len(ways) < 2:
        return
    published = max(ways, key=lambda way: fmean(each.published for each in ways[way]))
    predicted = max(ways, key=lambda way: fmean(each.predicted for each in ways[way]))
    case = found[0].case
    what = "answers" if case.metric == "decode" else "prompts"
    context = f" at {case.row.context}" if case.row.context else ""
    yield Contest(f"{case.row.model} {case.row.quant.split(' (')[0]}, {what}{context}", count, published, predicted)
