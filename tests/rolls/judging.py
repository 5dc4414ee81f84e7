"""From what was seen of one roll to a row of the table, and whether it is within the bounds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_TURN = re.compile(r"\d+\. replica (\S+) on (.+?), weights ")
_STEP = re.compile(r"--> Starting operation: Replica (\S+): (.+?) ?$")
_DONE = re.compile(r"\[(\S+)\] Success$")
TIMES_COLD_START = 1.3
SWITCHING_SECONDS = 0.5
"""Looks at replicas are this far apart at most, so a change from one to the other may look like a gap."""


@dataclass(frozen=True)
class Row:
    """What one roll showed."""

    name: str
    code: int
    expected: int
    answered: int
    failures: tuple[str, ...]
    without: float
    """Seconds in which no replica was ready."""
    keeps_one: bool
    out_of_order: tuple[str, ...] = ()
    unsaid: str = ""
    """What should have been told and was not."""
    pause: float | None = None
    cold_start: float | None = None
    again: int | None = 0
    """What a second run of the same changed; None: it failed."""
    serves: tuple[str, ...] = field(default=())
    """What is wrong with who serves afterwards."""


def missed(row: Row) -> Iterator[str]:
    """Every bound that a row is not within."""
    if row.code != row.expected:
        yield f"the deploy ended with {row.code}, needed {row.expected}"
    yield from (f"failed: {each}" for each in row.failures)
    if row.answered == 0:
        yield "nobody was answered"
    if row.keeps_one and row.without > SWITCHING_SECONDS:
        yield f"no replica was ready for {row.without:.1f} s"
    yield from row.out_of_order
    if row.unsaid:
        yield f"not told: {row.unsaid!r}"
    if row.pause is not None and row.cold_start and row.pause > TIMES_COLD_START * row.cold_start:
        yield f"a pause of {row.pause:.1f} s, {row.pause / row.cold_start:.2f} cold starts"
    if row.again is None:
        yield "the next run failed"
    elif row.again:
        yield f"the next run changed {row.again} things"
    yield from row.serves


def out_of_order(lines: Sequence[str]) -> list[str]:
    """Machines of a replica that were touched outside its turn, by the plan and the steps that the deploy printed."""
    turns = [found for line in lines if (found := _TURN.match(line.strip()))]
    owner = {machine: turn[1] for turn in turns for machine in turn[2].split(", ")}
    order, wrong, step = [turn[1] for turn in turns], list[str](), None
    readmitted: set[str] = set()
    for line in lines:
        begun = _STEP.search(line)
        if begun or "--> " in line:
            step = begun
        done = _DONE.match(line.strip())
        if step is None or done is None:
            continue
        replica, what = step[1], step[2]
        before = order[: order.index(replica)] if replica in order else []
        if owner.get(done[1], replica) != replica or not readmitted.issuperset(before):
            wrong.append(f"{done[1]} was touched in 'Replica {replica}: {what}'")
        if what == "readmit":
            readmitted.add(replica)
    return wrong
