"""A conductor that begins while ranks of an earlier one may live."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from serving.api import AgentState, agreement
from serving.conductor.decision import decide
from serving.conductor.observation import AskGolden, Course, Decision, GoldenResult, Limits, Observation, Start, Stop
from tests.serving.replicas import gone, living, machine, replica

LIMITS = Limits(unanswered=4, checking=60, joining=30, loading=120, warming=50, settled=100, adopting=30)
SERVING = (living(0, "serving"), living(1, "serving"))


def begun(
    machines: Sequence[AgentState | None], course: Course | None = None, now: float = 1000, golden: bool = False
) -> Decision:
    return decide(
        Observation(
            now=now,
            replica=replica(),
            agreement=agreement(replica()),
            limits=LIMITS,
            course=course or Course(generation=1),
            machines=tuple(machines),
            golden=GoldenResult(1, "") if golden else None,
        )
    )


def test_ranks_that_serve_are_kept_and_asked_for_proof():
    decision = begun(SERVING)

    assert (decision.course.state, decision.course.generation, decision.course.restarts) == ("warming", 1, 0)
    assert decision.actions == (AskGolden(1),)


def test_what_was_adopted_is_ready_by_proof_alone():
    adopted = begun(SERVING).course

    assert begun(SERVING, adopted).course.state == "warming"
    assert begun(SERVING, adopted, golden=True).course.state == "ready"


def test_a_silent_agent_is_waited_for_without_a_stop():
    first = begun((SERVING[0], None))
    later = begun((SERVING[0], None), first.course, now=1001)
    adopted = begun(SERVING, later.course, now=1001.5)

    assert (first.actions, later.actions) == ((), ())
    assert first.course.waiting == (
        "mac-2's agent does not answer at 10.0.0.2; until it does, the ranks that serve are left alone"
    )
    assert (adopted.course.state, adopted.course.waiting) == ("warming", "")


def test_nobody_is_waited_for_for_ever():
    course = begun((SERVING[0], None)).course
    for second in range(1001, 1031):
        course = begun((SERVING[0], None), course, now=second).course

    assert begun((SERVING[0], None), course, now=1031).actions == (Stop(0),)


@pytest.mark.parametrize(
    "other",
    [
        living(1, "serving", generation=2),
        living(1, "loading"),
        living(1, "joining"),
        living(1, "serving", mlx="0.32.3"),
        living(1, "serving", digest="d2"),
        living(1, "serving", size=1),
        machine(1),
        gone(1, None),
    ],
)
def test_anything_that_is_not_whole_is_stopped(other: AgentState):
    decision = begun((SERVING[0], other))

    assert decision.course.state == "absent"
    assert Stop(0) in decision.actions


def test_a_rank_of_another_configuration_is_not_kept():
    report = SERVING[1].rank
    assert report is not None
    old = SERVING[1].model_copy(update={"rank": report.model_copy(update={"agreement": "old"})})

    assert begun((SERVING[0], old)).actions == (Stop(0), Stop(1))


def test_a_generation_that_was_not_written_down_is_not_kept():
    assert begun(SERVING, Course(generation=2)).actions == (Stop(0), Stop(1))


def test_without_any_rank_a_conductor_forms_at_once():
    assert begun((machine(0), machine(1))).actions == (Start(0, 2), Start(1, 2))


def test_ranks_are_adopted_by_a_beginning_only():
    failed = Course(state="failed", generation=1, beginning=False, since=1000)

    assert begun(SERVING, failed).actions == (Stop(0), Stop(1))
