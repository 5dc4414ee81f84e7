"""Whether the memory of processes grows. Pure but for reading how much they have now.

A rank grows until mlx-lm's prompt cache holds as many prompts as it has slots, and anything grows while it starts. So a
process counts from its second minute, and only what is seen in the second half of a run. A process that is started
again goes on where the one before it was: its machine and its task name the series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import linear_regression, mean

from tests.standin.faults_processes import AGENT, GATEWAY, RANK, processes
from tests.standin.lab import Lab

TASKS: Mapping[str, str] = {RANK: "rank", AGENT: "agent", GATEWAY: "gateway"}
AGE_SECONDS = 60.0
GROWTH_SHARE, GROWTH_MB = 0.08, 12.0
"""A series may grow by this share of itself, or by this much where that is more, over the half that is looked at."""

_FEWEST = 5


@dataclass(frozen=True)
class Sample:
    """The resident memory of one process at one moment."""

    at: float
    machine: str
    task: str
    pid: int
    megabytes: float


@dataclass(frozen=True)
class Trend:
    """A line through the second half of a series."""

    machine: str
    task: str
    mean_mb: float
    growth_mb: float
    """From the first sample that counts to the last, along the line."""

    @property
    def is_flat(self) -> bool:
        """Whether it grows no more than it may."""
        return self.growth_mb <= max(GROWTH_MB, GROWTH_SHARE * self.mean_mb)


def now(lab: Lab, at: float) -> Iterator[Sample]:
    """Every rank, agent and gateway that runs."""
    for name in filter(lab.is_on, lab.rack().machines):
        for pid in processes(lab, name):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                status = Path(f"/proc/{pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            task = TASKS.get(words[2].decode(errors="replace")) if words[1:2] == [b"-m"] else None
            if task is not None and "VmRSS:" in status:
                yield Sample(at, name, task, pid, int(status.partition("VmRSS:")[2].split()[0]) / 1024)


def trends(samples: Iterable[Sample], began: float, ended: float) -> list[Trend]:
    """The trend of every series that has enough samples."""
    told = sorted(samples, key=lambda sample: (sample.machine, sample.task, sample.at))
    born: dict[tuple[str, int], float] = {}
    for sample in told:
        born.setdefault((sample.machine, sample.pid), sample.at)
    counted = [
        sample
        for sample in told
        if sample.at >= (began + ended) / 2 and sample.at >= born[sample.machine, sample.pid] + AGE_SECONDS
    ]
    groups = groupby(counted, key=lambda sample: (sample.machine, sample.task))
    series = [(place, list(group)) for place, group in groups]
    return [_trend(*place, group) for place, group in series if len(group) >= _FEWEST]


def _trend(machine: str, task: str, series: list[Sample]) -> Trend:
    times, sizes = [sample.at for sample in series], [sample.megabytes for sample in series]
    slope = linear_regression(times, sizes).slope
    return Trend(machine, task, mean(sizes), slope * (times[-1] - times[0]))
