"""The decision that moves a replica from state to state. Pure: no clock, no socket, no process.

    absent → forming → loading → warming → ready        (draining is ready and held back by order: `draining`)
    absent → warming, when a conductor begins and finds ranks that serve (`adoption`)
    from any of them → failed → forming, while restarts are left, then → broken

`decide` is asked again at every answer of an agent, and a few times a second, with what every agent says now. All its
actions may be repeated: an agent starts a generation once, joins once, and stops what lives. Ranks are started only
when every machine answers, agrees and is able, and no rank lives on any of them; let in, one who listens before one
who connects, when all of them have checked their weights and the cables are up; and called ready only when each has
reported the declared transport, size, rank and digest and the golden answer came back. Waiting for a machine or a cable
is free, and ranks check their weights meanwhile. Only starting costs a restart, and each in a row waits longer for its
turn.

An agent that falls silent while the replica serves is told of and no more: each step of rank 0 needs all ranks, so they
are there as long as it moves (`motion`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from serving.api import AgentState, RankReport, StateName
from serving.conductor.adoption import found
from serving.conductor.faults import Fault, fault, other_release, struck_down, unequal_versions
from serving.conductor.motion import follow, still
from serving.conductor.observation import AskGolden, Course, Decision, Join, Observation, Start, Stop
from serving.configuration import ReplicaConfiguration
from serving.rank.status import Phase

ACTIVE: Final = frozenset[StateName]({"forming", "loading", "warming", "ready"})
"""States in which ranks of the course's generation are meant to live."""

_PLANNED_WITHIN: Final = 0.01
"""A share: what ranks hold is known beforehand as exactly as that."""


def decide(seen: Observation) -> Decision:
    """The next step of a replica."""
    seen = follow(seen)
    decision = _step(seen)
    return replace(decision, course=replace(decision.course, notice="; ".join(_notices(seen, decision.course))))


def _step(seen: Observation) -> Decision:
    if seen.course.state not in ACTIVE:
        return _begin(seen)
    faults = sorted(_faults(seen), key=lambda each: each.weight)
    if faults:
        failed = _fail(seen, "; ".join(each.text for each in faults), all(each.curable for each in faults))
        return replace(failed, course=replace(failed.course, follows=all(each.follows for each in faults)))
    steps = {"forming": _form, "loading": _load, "warming": _warm, "ready": _settle}
    return steps[seen.course.state](seen)


def _faults(seen: Observation) -> Iterator[Fault]:
    course = seen.course
    for rank, machine in enumerate(seen.machines):
        if machine is not None or (_silent(seen, rank) > seen.limits.unanswered and not _proven_by_steps(seen)):
            started = course.joining or course.state != "forming"
            wrong = fault(seen.replica, seen.agreement, rank, machine, course.generation, started=started)
            if wrong is not None:
                yield wrong
    yield from still(seen)
    unequal = unequal_versions(seen.machines)
    if unequal is not None:
        yield unequal


def _silent(seen: Observation, rank: int) -> float:
    return seen.now - seen.course.heard[rank]


def _proven_by_steps(seen: Observation) -> bool:
    """Whether rank 0 would show the loss of any other; that its own steps go on is seen to by `still`."""
    serving = seen.course.state in ("warming", "ready")
    return serving and seen.machines[0] is not None and seen.course.motions[0] is not None


def _notices(seen: Observation, course: Course) -> Iterator[str]:
    if course.state not in ("warming", "ready"):
        return
    for rank, (member, machine) in enumerate(zip(seen.replica.members, seen.machines, strict=True)):
        if machine is None and _silent(seen, rank) > seen.limits.noticed:
            yield f"{member.machine}'s agent does not answer at {member.address}; its rank goes on"
        if machine is not None and machine.pressure == "critical":
            yield f"{member.machine} is critically short of memory"
        if machine is not None and machine.rank is not None and machine.rank.status is not None:
            yield from _misjudged(seen.replica, rank, machine.rank.status.weights_bytes)


def _misjudged(replica: ReplicaConfiguration, rank: int, held: int | None) -> Iterator[str]:
    """What a rank holds beside what was planned with: if that is wrong, so is what was planned of its memory."""
    planned = None if replica.planned_bytes is None else replica.planned_bytes[rank]
    if held is not None and planned is not None and abs(held - planned) > _PLANNED_WITHIN * planned:
        where = f"rank {rank} on {replica.members[rank].machine}"
        yield f"{where} holds {held / 1e9:.3g} GB of weights; {planned / 1e9:.3g} GB were planned with"


def _begin(seen: Observation) -> Decision:
    """Keep what an earlier conductor left, if it is whole; else stop what lives and gather."""
    course, finding = seen.course, found(seen)
    if finding == "wait":
        away = "; ".join(_missing(seen, living=False))
        alone = "; until it does, the ranks that serve are left alone" if any(seen.machines) else ""
        return Decision(replace(course, waiting=away + alone))
    course = replace(course, beginning=False, waiting="")
    if finding == "adopt":
        adopted = replace(course, state="warming", since=seen.now)
        return Decision(adopted, (AskGolden(course.generation),))
    return _gather(replace(seen, course=course))


def _gather(seen: Observation) -> Decision:
    """Stop what lives; when nothing does and everybody is there, begin the next generation."""
    course = _caused(seen)
    stops = _stops(seen)
    if course.state == "broken":
        fresh = replace(course, state="absent", reason="", restarts=0, failures=())
        return Decision(fresh if seen.afresh else course, stops)
    waiting = "; ".join(_missing(seen)) or _pause(seen)
    if waiting:
        return Decision(replace(course, waiting=waiting), stops)
    generation = max(course.generation, *_generations(seen)) + 1
    begun = replace(
        course,
        state="forming",
        waiting="",
        generation=generation,
        restarts=course.restarts + (course.state == "failed"),
        follows=False,
        joining=False,
        since=seen.now,
        motions=(),
    )
    return Decision(begun, tuple(Start(rank, generation) for rank in range(len(seen.machines))))


def _caused(seen: Observation) -> Course:
    """With the cause of a failure, where an agent tells of it after another has told what came of it."""
    course = seen.course
    causes = struck_down(seen.replica, seen.machines, course.generation) if course.follows else []
    if not causes:
        return course
    failures = (*course.failures[:-1], "; ".join((*causes, course.failures[-1])))
    reason = _exhausted(failures, course.restarts) if course.state == "broken" else failures[-1]
    return replace(course, reason=reason, failures=failures, follows=False)


def _generations(seen: Observation) -> list[int]:
    """Of the ranks that the machines remember: who conducted before may have known more than is written down here."""
    reports = [machine.rank for machine in seen.machines if machine is not None and machine.rank is not None]
    return [0, *(report.generation for report in reports if report.generation is not None)]


def _pause(seen: Observation) -> str:
    course, pauses = seen.course, seen.limits.pauses
    pause = pauses[min(course.restarts, len(pauses) - 1)]
    if course.state != "failed" or seen.now - course.since >= pause:
        return ""
    return f"a pause of {pause:g} seconds before restart {course.restarts + 1} of {seen.replica.restarts}"


def _missing(seen: Observation, *, living: bool = True) -> Iterator[str]:
    """For whom or what the next start waits; `living`: old ranks are among it."""
    for member, machine in zip(seen.replica.members, seen.machines, strict=True):
        if machine is None:
            yield f"{member.machine}'s agent does not answer at {member.address}"
        elif machine.agreement != seen.agreement:
            own = seen.machines[0]
            conducting = (
                f"; {own.machine} conducts with release {own.release}" if own is not None and own is not machine else ""
            )
            yield other_release(member.machine, machine) + conducting
        elif living and _lives(machine):
            yield f"the old rank on {member.machine} has not ended yet"
        elif machine.unable:
            yield machine.unable


def _stops(seen: Observation) -> tuple[Stop, ...]:
    """An agent of another configuration obeys another conductor."""
    return tuple(
        Stop(rank)
        for rank, machine in enumerate(seen.machines)
        if machine is not None and _lives(machine) and machine.agreement == seen.agreement
    )


def _lives(machine: AgentState) -> bool:
    return machine.rank is not None and machine.rank.living


def _fail(seen: Observation, reason: str, curable: bool) -> Decision:
    course = seen.course
    again = curable and course.restarts < seen.replica.restarts
    failures = (*course.failures, reason)
    failed = replace(
        course,
        state="failed" if again else "broken",
        reason=reason if again or not curable else _exhausted(failures, course.restarts),
        failures=failures,
        waiting="",
        joining=False,
        since=seen.now,
    )
    return Decision(failed, _stops(seen))


def _exhausted(failures: tuple[str, ...], restarts: int) -> str:
    """What a person reads who has to find out why nothing helped."""
    last = failures[-1]
    others = {text: failures.count(text) for text in failures if text != last}
    earlier = "; ".join(f"{text} ({count} times)" if count > 1 else text for text, count in others.items())
    before = f". Before that: {earlier}" if earlier else ""
    return (
        f"{last} (after {restarts} restarts in a row){before}. Run `cidermill doctor INVENTORY`, repair what it names, "
        "then run the deploy again: the replica then begins afresh"
    )


def _form(seen: Observation) -> Decision:
    """Start who has not started; when all have checked their weights let them in, and count them in."""
    phases = _phases(seen)
    if not seen.course.joining:
        checked = [phase == "checked" for phase in phases]
        if not all(checked):
            late = _late(seen, seen.limits.checking, checked, "check its weights")
            return late or Decision(seen.course, _missing_starts(seen))
        waiting = "; ".join(machine.unable_to_join for machine in seen.machines if machine and machine.unable_to_join)
        seen = replace(seen, course=replace(seen.course, joining=not waiting, waiting=waiting, since=seen.now))
        if waiting:
            return Decision(seen.course)
    return _join(seen, phases)


def _join(seen: Observation, phases: list[Phase | None]) -> Decision:
    joined = [phase in ("loading", "serving") for phase in phases]
    if all(joined):
        return Decision(replace(seen.course, state="loading", since=seen.now))
    joins = tuple(Join(rank, seen.course.generation) for rank in next_in(phases))
    return _late(seen, seen.limits.joining, joined, "join the others") or Decision(seen.course, joins)


def next_in(phases: list[Phase | None]) -> list[int]:
    """The ranks to let in now: rank 0 first, then all but the last, then the last.

    Who connects before the other side listens is refused, and MLX 0.32.4 waits a second before it tries again. In a
    ring all but the last rank listen first, and the last connects to rank 0; by JACCL all connect to rank 0.
    """
    is_in = [phase not in (None, "checking", "checked") for phase in phases]
    last = len(phases) - 1
    may = [rank == 0 or (is_in[0] if rank < last else all(is_in[:last])) for rank in range(len(phases))]
    return [rank for rank, phase in enumerate(phases) if may[rank] and phase == "checked"]


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
        # Nothing is left to chance in it: the same wrong words from new ranks are no accident.
        return _fail(seen, golden.problem, curable=golden.problem not in course.failures)
    if None in seen.machines:
        return Decision(course)  # proof is asked of everybody at the same moment
    return Decision(replace(course, state="ready", reason="", since=seen.now))


def _settle(seen: Observation) -> Decision:
    if seen.now - seen.course.since >= seen.limits.settled:
        return Decision(replace(seen.course, restarts=0, failures=()))
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
