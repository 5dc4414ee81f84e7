"""The decision that moves a replica from state to state. Pure: no clock, no socket, no process.

    absent → forming → loading → warming → ready        (draining is decided by who updates a replica)
    from any of them → failed → forming, while restarts are left, then → broken

`decide` is asked again every few hundred milliseconds with what every agent says now. All its actions may be repeated:
an agent starts a generation once, joins once, and stops what lives. Ranks are started only when every machine answers,
agrees and is able, and no rank lives on any of them; let in together when all of them have checked their weights; and
called ready only when each has reported the declared transport, size, rank and digest and the golden answer came back.
Waiting for a machine to return is free. Only starting costs a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from serving.api import AgentState, RankReport, StateName
from serving.conductor.faults import Fault, fault, unequal_versions
from serving.conductor.observation import AskGolden, Decision, Join, Observation, Start, Stop
from serving.rank.status import Phase

ACTIVE: Final = frozenset[StateName]({"forming", "loading", "warming", "ready"})
"""States in which ranks of the course's generation are meant to live."""


def decide(seen: Observation) -> Decision:
    """The next step of a replica."""
    seen = _heard(seen)
    if seen.course.state not in ACTIVE:
        return _gather(seen)
    faults = sorted(_faults(seen), key=lambda found: found.weight)
    if faults:
        return _fail(seen, "; ".join(found.text for found in faults), all(found.curable for found in faults))
    steps = {"forming": _form, "loading": _load, "warming": _warm, "ready": _settle}
    return steps[seen.course.state](seen)


def _heard(seen: Observation) -> Observation:
    before = seen.course.heard or (seen.now,) * len(seen.machines)
    heard = tuple(
        seen.now if machine is not None else last for machine, last in zip(seen.machines, before, strict=True)
    )
    return replace(seen, course=replace(seen.course, heard=heard))


def _faults(seen: Observation) -> Iterator[Fault]:
    course = seen.course
    for rank, machine in enumerate(seen.machines):
        silent = seen.now - course.heard[rank]
        if machine is not None or silent > seen.limits.unanswered:
            started = course.joining or course.state != "forming"
            found = fault(seen.replica, seen.agreement, rank, machine, course.generation, started=started)
            if found is not None:
                yield found
    unequal = unequal_versions(seen.machines)
    if unequal is not None:
        yield unequal


def _gather(seen: Observation) -> Decision:
    """Stop what lives; when nothing does and everybody is there, begin the next generation."""
    course = seen.course
    stops = _stops(seen)
    if course.state == "broken":
        return Decision(replace(course, state="absent", reason="", restarts=0) if seen.afresh else course, stops)
    waiting = "; ".join(_missing(seen))
    if waiting:
        return Decision(replace(course, waiting=waiting), stops)
    generation = course.generation + 1
    begun = replace(
        course,
        state="forming",
        waiting="",
        generation=generation,
        restarts=course.restarts + (course.state == "failed"),
        joining=False,
        since=seen.now,
    )
    return Decision(begun, tuple(Start(rank, generation) for rank in range(len(seen.machines))))


def _missing(seen: Observation) -> Iterator[str]:
    for member, machine in zip(seen.replica.members, seen.machines, strict=True):
        if machine is None:
            yield f"{member.machine}'s agent does not answer at {member.address}"
        elif machine.agreement != seen.agreement:
            yield f"{member.machine}'s agent has another configuration of this replica (release {machine.release})"
        elif _lives(machine):
            yield f"the old rank on {member.machine} has not ended yet"
        elif machine.unable:
            yield machine.unable


def _stops(seen: Observation) -> tuple[Stop, ...]:
    return tuple(Stop(rank) for rank, machine in enumerate(seen.machines) if machine is not None and _lives(machine))


def _lives(machine: AgentState) -> bool:
    return machine.rank is not None and machine.rank.living


def _fail(seen: Observation, reason: str, curable: bool) -> Decision:
    left = seen.course.restarts < seen.replica.restarts
    if curable and not left:
        reason = f"{reason} (after {seen.course.restarts} restarts in a row)"
    failed = replace(
        seen.course, state="failed" if curable and left else "broken", reason=reason, joining=False, since=seen.now
    )
    return Decision(failed, _stops(seen))


def _form(seen: Observation) -> Decision:
    """Start who has not started; when all have checked their weights let all in at once, and count them in."""
    phases = _phases(seen)
    if not seen.course.joining:
        checked = [phase == "checked" for phase in phases]
        if not all(checked):
            late = _late(seen, seen.limits.checking, checked, "check its weights")
            return late or Decision(seen.course, _missing_starts(seen))
        seen = replace(seen, course=replace(seen.course, joining=True, since=seen.now))
    return _join(seen, phases)


def _join(seen: Observation, phases: list[Phase | None]) -> Decision:
    joined = [phase in ("loading", "serving") for phase in phases]
    if all(joined):
        return Decision(replace(seen.course, state="loading", since=seen.now))
    joins = tuple(Join(rank, seen.course.generation) for rank, phase in enumerate(phases) if phase == "checked")
    return _late(seen, seen.limits.joining, joined, "join the others") or Decision(seen.course, joins)


def _load(seen: Observation) -> Decision:
    serving = [phase == "serving" for phase in _phases(seen)]
    if all(serving):
        return Decision(replace(seen.course, state="warming", since=seen.now), (AskGolden(seen.course.generation),))
    return _late(seen, seen.limits.loading, serving, "load its weights") or Decision(seen.course)


def _warm(seen: Observation) -> Decision:
    golden, course = seen.golden, seen.course
    if golden is None or golden.generation != course.generation:
        if seen.now - course.since > seen.limits.warming:
            return _fail(seen, f"the golden answer did not come within {seen.limits.warming:g} seconds", curable=True)
        return Decision(course, (AskGolden(course.generation),))
    if golden.problem:
        return _fail(seen, golden.problem, curable=True)
    if None in seen.machines:
        return Decision(course)  # proof is asked of everybody at the same moment
    return Decision(replace(course, state="ready", reason="", since=seen.now))


def _settle(seen: Observation) -> Decision:
    if seen.now - seen.course.since >= seen.limits.settled:
        return Decision(replace(seen.course, restarts=0))
    return Decision(seen.course)


def _reports(seen: Observation) -> list[RankReport | None]:
    """Each machine's report on the present generation; None where it has none or did not answer."""
    reports = [machine.rank if machine is not None else None for machine in seen.machines]
    return [r if r is not None and r.generation == seen.course.generation else None for r in reports]


def _phases(seen: Observation) -> list[Phase | None]:
    return [
        report.status.phase if report is not None and report.status is not None else None for report in _reports(seen)
    ]


def _missing_starts(seen: Observation) -> tuple[Start, ...]:
    """For every machine that answers and knows nothing of the present generation."""
    return tuple(
        Start(rank, seen.course.generation)
        for rank, (machine, report) in enumerate(zip(seen.machines, _reports(seen), strict=True))
        if machine is not None and report is None
    )


def _late(seen: Observation, limit: float, done: list[bool], what: str) -> Decision | None:
    if seen.now - seen.course.since <= limit:
        return None
    late = [f"rank {rank} on {seen.replica.members[rank].machine}" for rank, is_done in enumerate(done) if not is_done]
    return _fail(seen, f"{' and '.join(late)} did not {what} within {limit:g} seconds", curable=True)
