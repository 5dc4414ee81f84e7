"""What the conductor decides of a replica of two, and the states that tests begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from serving.api import AgentState, agreement
from serving.conductor.decision import decide
from serving.conductor.observation import Course, Decision, GoldenResult, Limits, Observation
from tests.serving.replicas import living, machine, replica

LIMITS = Limits(unanswered=4, checking=60, joining=30, loading=120, warming=50, settled=100)
RIGHT = GoldenResult(1, "")


def decided(
    course: Course,
    machines: Sequence[AgentState | None],
    now: float = 1000,
    golden: GoldenResult | None = None,
    afresh: bool = False,
) -> Decision:
    return decide(
        Observation(
            now=now,
            replica=replica(),
            agreement=agreement(replica()),
            limits=LIMITS,
            course=course,
            machines=tuple(machines),
            golden=golden,
            afresh=afresh,
        )
    )


def in_state(state: str, **changes: object) -> Course:
    course = Course(generation=1, since=1000, heard=(1000, 1000), beginning=False)
    return replace(course, state=state, **changes)  # type: ignore[arg-type]


NOBODY = (machine(0), machine(1))
CHECKED = (living(0, "checked"), living(1, "checked"))
SERVING = (living(0, "serving"), living(1, "serving"))
