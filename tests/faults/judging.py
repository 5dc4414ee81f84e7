"""From what was written down to one row of the table, and whether it is within the bounds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from statistics import median

from tests.faults.records import Cold, Look, Request, Trial

NOTICED_SECONDS = 5.0
TIMES_COLD_START = 1.3
COMES_WITHIN_SECONDS = 10.0
"""A tiny completion asked of a replica that says it is ready comes within this, or within twice what the slowest one
took before the fault: beside eight clients on a busy machine that may be more.
"""

_SOON = 1.0
_ENDS = "ends, as its agent does"
"""In what an endpoint that is told to end says to who has heard nothing yet."""


@dataclass(frozen=True)
class Outage:
    """From the first look that was not answered by yes to the first yes that lasted."""

    begin: float
    end: float


@dataclass(frozen=True)
class Row:
    """What one trial showed. Seconds of None did not come, or there was nothing to come."""

    fault: str
    replica: str
    machine: str
    disturbed: bool
    noticed: float | None
    ready_again: float | None
    cold_start: float | None
    cold: Cold
    is_bounded: bool
    answered: int
    continued: int
    """Answers that had begun, stood still through the outage, and went on."""
    replayed: int
    """Answers that had not begun when the outage did, and came after it."""
    lost: int
    altered: int
    turned_away: int
    """Refused in words while the replica was broken, which needs a person."""
    cut_off: int
    """Clients whose own connection ended with the process or machine that they were connected to."""
    overdue: int
    longest_wait: float
    deadline: float
    lies: int
    """How often the replica called itself ready while a completion did not come."""
    unasked: bool
    """Whether it went on where it had to ask for a person."""
    words: tuple[str, ...]
    """What the replica said of it, in order."""
    losses: tuple[str, ...] = ()
    """What the clients were told whose requests were lost or altered, and the first lie."""

    @property
    def times_cold_start(self) -> float | None:
        """How long the way back took, in cold starts."""
        return self.ready_again / self.cold_start if self.ready_again is not None and self.cold_start else None


def judge(trial: Trial) -> Row:
    """The row of a trial."""
    out = outage(trial.looks, trial.struck)
    lost = [request for request in trial.requests if is_lost(request, trial)]
    altered = [request for request in trial.requests if request.ending == "altered"]
    answered = [request for request in trial.requests if request.ending == "answered"]
    lies = [said for look in trial.readies if (said := lie(look, trial)) is not None]
    return Row(
        fault=trial.fault,
        replica=trial.replica,
        machine=trial.machine,
        disturbed=out is not None,
        noticed=None if out is None else out.begin - trial.struck,
        ready_again=_ready_again(trial, out),
        cold_start=trial.cold_start,
        cold=trial.cold,
        is_bounded=trial.is_bounded,
        answered=len(answered),
        continued=sum(_is_continued(request, out) for request in answered),
        replayed=sum(_is_replayed(request, out) for request in answered),
        lost=len(lost),
        altered=len(altered),
        turned_away=sum(_is_turned_away(request, trial) for request in trial.requests),
        cut_off=sum(_is_cut_off(request, trial) for request in trial.requests),
        overdue=sum(request.ending == "overdue" for request in trial.requests),
        longest_wait=max((end - begin for request in trial.requests for begin, end in request.waits), default=0.0),
        deadline=trial.deadline,
        lies=len(lies),
        unasked=trial.breaks and not any(word.state == "broken" for word in trial.words),
        words=_words(trial),
        losses=(*dict.fromkeys(f"{each.door}: {each.ending}: {each.said}" for each in (*lost, *altered)), *lies[:1]),
    )


def compared(rows: Sequence[Row]) -> list[Row]:
    """The rows with the median of the run's cold starts of their replica in place of the one before each.

    On shared CPUs one start alone takes up to half as long again as the next.
    """
    starts: dict[tuple[str, Cold], list[float]] = {}
    for row in rows:
        if row.cold_start is not None:
            starts.setdefault((row.replica, row.cold), []).append(row.cold_start)
    medians = {each: median(seconds) for each, seconds in starts.items()}
    return [replace(row, cold_start=medians.get((row.replica, row.cold))) for row in rows]


def missed(row: Row) -> Iterator[str]:
    """Every bound that a row is not within."""
    if row.noticed is not None and row.noticed > NOTICED_SECONDS:
        yield f"noticed after {row.noticed:.1f} s, at most {NOTICED_SECONDS:g}"
    if row.disturbed and row.ready_again is None:
        yield "not ready again"
    times = row.times_cold_start
    if row.is_bounded and times is not None and times > TIMES_COLD_START:
        yield f"ready again after {times:.2f} cold starts, at most {TIMES_COLD_START:g}"
    for what, count in (("lost", row.lost), ("altered", row.altered), ("overdue", row.overdue)):
        if count:
            yield f"{count} {what}"
    if row.unasked:
        yield "did not ask for a person"
    if row.lies:
        yield f"/ready said yes {row.lies} times while a completion did not come"


def outage(looks: Iterable[Look], struck: float) -> Outage | None:
    """When it was first seen not to be ready, and when it was for good; None if it was all the time."""
    after = [look for look in looks if look.asked >= struck]
    away = [number for number, look in enumerate(after) if look.answer != "yes"]
    if not away:
        return None
    back = after[away[-1] + 1 :]
    return Outage(after[away[0]].told, back[0].told if back else inf)


def is_lost(request: Request, trial: Trial) -> bool:
    """Whether nobody but us is to blame for a request without an answer."""
    gone = request.ending in ("refused", "broken off", "disconnected")
    return gone and not _is_cut_off(request, trial) and not _is_turned_away(request, trial)


def lie(look: Look, trial: Trial) -> str | None:
    """What became of the tiny request that was under way at a yes, or came next, if not an answer in time; or None.

    A fault that was put in a moment ago may not have been noticed yet: for as long as that may take, yes is no lie. Nor
    is it one while all slots are taken by others, and these hear on.
    """
    fresh = trial.struck <= look.told and look.asked <= trial.struck + NOTICED_SECONDS
    if look.answer != "yes" or fresh:
        return None
    probe = next((each for each in trial.probes if each.ended >= look.told and each.began <= look.told + _SOON), None)
    if probe is None or _is_cut_off(probe, trial):
        return None
    seconds = probe.ended - max(probe.began, look.told)
    silent = min(seconds, longest_silence(trial, look.told, probe.ended))
    if silent <= comes_within(trial) and probe.ending in ("answered", "left"):
        return None
    return f"yes after {look.told - trial.struck:.1f} s, and the completion {probe.ending} {seconds:.1f} s later"


def comes_within(trial: Trial) -> float:
    """The most that a tiny completion may take, in seconds."""
    before = (each.ended - each.began for each in trial.probes if each.ended < trial.struck)
    return max(COMES_WITHIN_SECONDS, 2 * max(before, default=0.0))


def longest_silence(trial: Trial, begin: float, end: float) -> float:
    """The longest stretch between two moments in which nobody at the endpoint heard anything, in seconds."""
    heard = sorted(at for request in trial.requests if request.door == "endpoint" for at in request.pieces)
    return max(after - before for before, after in pairwise([begin, *(at for at in heard if begin < at < end), end]))


def _ready_again(trial: Trial, out: Outage | None) -> float | None:
    if out is None or out.end == inf:
        return None
    # A person's part of the way back does not count, unless it came back without.
    began = trial.mended if trial.mended is not None and trial.mended < out.end else trial.struck
    return out.end - began


def _is_cut_off(request: Request, trial: Trial) -> bool:
    told = request.ending == "refused" and request.said.startswith("503 ") and _ENDS in request.said
    return (request.ending == "disconnected" or told) and request.door in trial.closes


def _is_turned_away(request: Request, trial: Trial) -> bool:
    if request.ending not in ("refused", "broken off"):
        return False
    until = [*(word.at for word in trial.words[1:]), inf]
    return any(
        word.state == "broken" and word.is_in(request.ended) and request.ended <= end
        for word, end in zip(trial.words, until, strict=False)
    )


def _is_continued(request: Request, out: Outage | None) -> bool:
    stretches = request.waits[1:]
    return out is not None and any(_spans(begin, end, out.begin, out) for begin, end in stretches)


def _is_replayed(request: Request, out: Outage | None) -> bool:
    return out is not None and bool(request.pieces) and _spans(*request.waits[0], request.began, out)


def _spans(begin: float, end: float, since: float, out: Outage) -> bool:
    """Whether a stretch without a piece is most of an outage, or of the part of it that the request was there for."""
    start = max(since, out.begin)
    return start + _SOON < out.end < inf and min(end, out.end) - max(begin, start) > (out.end - start) / 2


def _words(trial: Trial) -> tuple[str, ...]:
    said = [f"{word.state}: {word.reason}" for word in trial.words if word.at >= trial.struck and word.reason]
    return tuple(dict.fromkeys(said))
