"""Which ranks move, from the counters that each of them advances. Pure; the only clock is the conductor's own.

A process that runs beats, whatever its loop waits for. A loop that goes round takes steps, each together with all other
ranks: when one rank stops, the steps of all stop, and the beats tell which one it was. Stillness is judged from answers
that arrived, and anew after every gap in them: a machine that slept, or a conductor that was itself stopped, shows
nothing about a rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from serving.api import AgentState
from serving.conductor.faults import Fault
from serving.conductor.observation import Course, Motion, Observation
from serving.rank.status import Tick

_MISSED = 1.5
"""Seconds without a beat after which a rank is the likeliest cause of steps that have stopped."""


def follow(seen: Observation) -> Observation:
    """With what this round's answers show written into the course."""
    course, now = seen.course, seen.now
    count = len(seen.machines)
    gap = 0.0 if course.seen is None else now - course.seen
    if course.seen is None and course.state == "absent":
        course = replace(course, since=now)
    elif gap > seen.limits.paused:
        course = replace(course, since=course.since + gap, heard=(now,) * count, motions=())
    heard = course.heard or (now,) * count
    motions = course.motions or (None,) * count
    course = replace(
        course,
        seen=now,
        heard=tuple(now if m is not None else last for m, last in zip(seen.machines, heard, strict=True)),
        motions=tuple(
            _motion(before, machine, seen, now - last > seen.limits.paused)
            for before, machine, last in zip(motions, seen.machines, heard, strict=True)
        ),
    )
    return replace(seen, course=course)


def _motion(before: Motion | None, machine: AgentState | None, seen: Observation, after_silence: bool) -> Motion | None:
    if machine is None:
        return before
    tick = _tick(machine, seen.course)
    if tick is None:
        return None
    if before is None:
        return Motion(tick, seen.now, seen.now)
    if after_silence:
        return Motion(tick, seen.now, seen.now, before.read)
    stepped = tick.steps != before.tick.steps
    took = seen.now - before.stepped if stepped and before.tick.activity == "prefilling" else 0.0
    return Motion(
        tick,
        stepped=seen.now if stepped else before.stepped,
        beaten=before.beaten if tick.beats == before.tick.beats else seen.now,
        read=max(before.read, took),
    )


def _tick(machine: AgentState, course: Course) -> Tick | None:
    rank = machine.rank
    return rank.tick if rank is not None and rank.living and rank.generation == course.generation else None


def still(seen: Observation) -> Iterator[Fault]:
    """What stands still for longer than it may, among the ranks whose agents answer."""
    if seen.course.joining and seen.course.state == "forming":
        return  # MLX 0.32.4 waits for the others without letting any Python run
    serving = seen.course.state in ("warming", "ready")
    stopped = [rank for rank, motion in _told(seen) if _unbeaten(seen, motion) > _stopped_limit(seen, rank, serving)]
    stalled = _stalled(seen) if serving else []
    suspects = stopped or [rank for rank, motion in _told(seen) if stalled and _unbeaten(seen, motion) > _MISSED]
    for rank in suspects:
        yield Fault(1, f"{_place(seen, rank)} is stopped: {_stillness(seen, rank)}")
    if stalled and not suspects:
        yield Fault(2, _deadlock(seen, stalled))


def _told(seen: Observation) -> Iterator[tuple[int, Motion]]:
    for rank, (machine, motion) in enumerate(zip(seen.machines, seen.course.motions, strict=True)):
        if machine is not None and motion is not None:
            yield rank, motion


def _unbeaten(seen: Observation, motion: Motion | None) -> float:
    # A rank that has never beaten has not come so far.
    return seen.now - motion.beaten if motion is not None and motion.tick.beats else 0


def _stopped_limit(seen: Observation, rank: int, serving: bool) -> float:
    if not serving:
        return seen.limits.stopped_loading
    return seen.limits.suspended if _is_suspended(seen, rank) else seen.limits.stopped


def _is_suspended(seen: Observation, rank: int) -> bool:
    machine = seen.machines[rank]
    return machine is not None and machine.rank is not None and machine.rank.suspended


def _stillness(seen: Observation, rank: int) -> str:
    if _is_suspended(seen, rank):
        return "a signal or a debugger holds its process"
    return f"its process has not moved for {_unbeaten(seen, seen.course.motions[rank]):.0f} seconds"


def _stalled(seen: Observation) -> list[int]:
    told = list(_told(seen))
    reading = any(motion.tick.activity == "prefilling" for _, motion in told)
    patient = seen.course.state == "warming" or (reading and not _has_gone(seen))
    limit = _reading_limit(seen, told) if patient else seen.limits.stalled
    return [rank for rank, motion in told if seen.now - motion.stepped > limit]


def _has_gone(seen: Observation) -> bool:
    """Whether two signs tell of a machine without power or in a restart: its agent is silent, and a cable is down."""
    down = any(machine.unable_to_join for machine in seen.machines if machine is not None)
    return down and None in seen.machines


def _reading_limit(seen: Observation, told: Sequence[tuple[int, Motion]]) -> float:
    longest = max((motion.read for _, motion in told), default=0.0)
    return max(seen.limits.prefilling, seen.limits.slowing * longest)


def _deadlock(seen: Observation, ranks: list[int]) -> str:
    motions = [motion for rank in ranks if (motion := seen.course.motions[rank]) is not None]
    seconds = min(seen.now - motion.stepped for motion in motions)
    activities = " and ".join(sorted({motion.tick.activity for motion in motions}))
    places = " and ".join(_place(seen, rank) for rank in ranks)
    silent = [m.machine for m, told in zip(seen.replica.members, seen.machines, strict=True) if told is None]
    away = f"; {' and '.join(silent)} does not answer" if silent else ""
    return (
        f"{places} took no step for {seconds:.0f} seconds while {activities}, though the processes run: ranks wait for "
        f"each other{away}. Look at the cables"
    )


def _place(seen: Observation, rank: int) -> str:
    return f"rank {rank} on {seen.replica.members[rank].machine}"
