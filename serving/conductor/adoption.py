"""Whether a conductor that has just begun may keep the ranks that it finds. Pure.

Ranks outlive their agents. Those that serve, all of the generation that was written down last and started with the
present configuration, were let in together and need nothing but proof; anything else is stopped and formed again.
"""

from __future__ import annotations

from typing import Literal

from serving.api import AgentState
from serving.conductor.faults import fault, unequal_versions
from serving.conductor.observation import Observation

Finding = Literal["adopt", "wait", "form"]


def found(seen: Observation) -> Finding:
    """What to do about the ranks that live; `wait` as long as an agent is silent and the others' ranks are well."""
    course = seen.course
    if not course.beginning or course.state != "absent":
        return "form"
    answers = [(rank, machine) for rank, machine in enumerate(seen.machines) if machine is not None]
    if unequal_versions(seen.machines) or not all(_serves(seen, rank, machine) for rank, machine in answers):
        return "form"
    if len(answers) == len(seen.machines):
        return "adopt"
    return "wait" if seen.now - course.since <= seen.limits.adopting else "form"


def _serves(seen: Observation, rank: int, machine: AgentState) -> bool:
    report = machine.rank
    return (
        report is not None
        and report.living
        and report.agreement == seen.agreement
        and report.status is not None
        and report.status.phase == "serving"
        and fault(seen.replica, seen.agreement, rank, machine, seen.course.generation, started=True) is None
    )
