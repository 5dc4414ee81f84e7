"""What the runs took, and whether that is within the bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

TIMES_EMPTY, PER_HOST_SECONDS, TIMES_FASTER = 1.5, 0.060, 5.0
_NOTHING_TO_DO = re.compile(r"^    Grand total +\S+ +- +- ", re.MULTILINE)


class Wrong(Exception):
    """A run did not do what it is timed for."""


@dataclass(frozen=True)
class Result:
    """The seconds of each run of the three."""

    hosts: int
    empty: Sequence[float]
    deploy: Sequence[float]
    ansible: Sequence[float]

    @property
    def allowed(self) -> float:
        """What a run of the deploy may take."""
        return TIMES_EMPTY * median(self.empty) + PER_HOST_SECONDS * self.hosts

    @property
    def is_within(self) -> bool:
        """Whether the deploy takes no longer than it may."""
        return median(self.deploy) <= self.allowed

    @property
    def times_faster(self) -> float:
        """How many runs of the deploy fit into one of Ansible's."""
        return median(self.ansible) / median(self.deploy)

    @property
    def is_faster(self) -> bool:
        """Whether the deploy is as much faster than Ansible as it has to be."""
        return self.times_faster >= TIMES_FASTER


def table(result: Result) -> Table:
    """The result, as it is printed."""
    drawn = Table("", "median s", "runs s", "needed", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name, seconds in (
        ("pyinfra -y, an empty deploy", result.empty),
        ("pyinfra -y deploy.py, nothing to do", result.deploy),
        ("ansible-playbook, the same checks", result.ansible),
    ):
        needed = _needed(result) if seconds is result.deploy else ""
        drawn.add_row(name, f"{median(seconds):.2f}", " ".join(f"{each:.2f}" for each in seconds), needed)
    return drawn


def verdict(result: Result) -> list[str]:
    """One line for each bound."""
    share = median(result.deploy) / result.allowed
    return [
        f"{_word(result.is_within)}: {share:.2f} of the time it may take, "
        f"{TIMES_EMPTY} x {median(result.empty):.2f} s + {PER_HOST_SECONDS * 1000:.0f} ms x {result.hosts} Macs",
        f"{_word(result.is_faster)}: {result.times_faster:.1f} times faster than Ansible, needed {TIMES_FASTER:g}",
    ]


def _needed(result: Result) -> str:
    return f"at most {result.allowed:.2f}, and a {TIMES_FASTER:g}th of Ansible's"


def _word(held: bool) -> str:
    return "held" if held else "MISSED"


def settled(output: str) -> None:
    """Raise Wrong unless a run of pyinfra says that nothing was done."""
    if not _NOTHING_TO_DO.search(output):
        raise Wrong(f"cannot time a run that changes nothing: this one did not say so.\n{output}")
