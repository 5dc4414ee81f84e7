"""What a soak came to: every request counted once, and whether that is good enough. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from tests.faults.memory import Trend
from tests.faults.records import Door, Request
from tests.faults.traffic import Expected

OUTCOMES = ("answered", "refused as poison", "left", "cut off", "lost", "altered", "overdue", "poison passed")
BAD = OUTCOMES[4:]


@dataclass(frozen=True)
class Strike:
    """A fault, from when it is put in until the replica is ready again, and the doors that it closes."""

    fault: str
    replica: str
    began: float
    closes: frozenset[Door]
    ended: float = math.inf
    """Never, while it is under way."""
    back: bool = True
    """Whether it became ready again."""


@dataclass(frozen=True)
class Told:
    """A request, what was expected of it, and the replica whose own endpoint it went to, if it was one's."""

    expected: Expected
    replica: str | None
    request: Request


@dataclass(frozen=True)
class Soaked:
    """The counts, the memory, and what clients were told whose requests ended badly."""

    counts: Mapping[str, int]
    faults: Mapping[str, int]
    trends: Sequence[Trend]
    complaints: Sequence[str]
    never_back: Sequence[str] = ()
    """Faults that a replica did not come back from."""

    def missed(self) -> list[str]:
        """Every bound that was missed."""
        told = "; ".join(self.complaints[:5])
        bad = [f"{self.counts[what]} {what} ({told})" for what in BAD if self.counts[what]]
        grew = [trend for trend in self.trends if not trend.is_flat]
        stayed = [f"not ready again after {fault}" for fault in self.never_back]
        return [*bad, *stayed] + [
            f"{t.task} on {t.machine} grew by {t.growth_mb:.0f} MB of {t.mean_mb:.0f}" for t in grew
        ]

    def table(self) -> Table:
        """Counts of requests and faults, and each process's memory."""
        drawn = Table("", "", box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
        for what, count in self.counts.items():
            drawn.add_row(what, str(count))
        for fault, count in sorted(self.faults.items()):
            drawn.add_row(f"fault {fault}", str(count))
        for trend in self.trends:
            drawn.add_row(f"{trend.task} on {trend.machine}", f"{trend.mean_mb:.0f} MB, {trend.growth_mb:+.1f} MB")
        return drawn


def tally(told: Iterable[Told], strikes: Sequence[Strike], trends: Sequence[Trend]) -> Soaked:
    """Count every request once."""
    outcomes = [(outcome(each, strikes), each.request) for each in told]
    counts = Counter(what for what, _ in outcomes)
    complaints = dict.fromkeys(f"{request.door}: {what}: {request.said}" for what, request in outcomes if what in BAD)
    faults = Counter(strike.fault for strike in strikes)
    away = tuple(f"{strike.fault} at {strike.replica}" for strike in strikes if not strike.back)
    return Soaked({what: counts[what] for what in OUTCOMES}, faults, trends, tuple(complaints), away)


def outcome(told: Told, strikes: Sequence[Strike]) -> str:
    """What became of one request."""
    request = told.request
    if request.ending == "disconnected":
        return "cut off" if any(_cuts(strike, told) for strike in strikes) else "lost"
    if told.expected == "refusal":
        # A replica that is away says so with a 503, which is a refusal, but not the one that poison gets.
        return "refused as poison" if request.ending == "refused" and request.said.startswith("4") else "poison passed"
    return "lost" if request.ending in ("refused", "broken off") else request.ending


def _cuts(strike: Strike, told: Told) -> bool:
    request = told.request
    its_own = told.replica in (None, strike.replica)
    return its_own and request.door in strike.closes and request.began <= strike.ended and request.ended >= strike.began
