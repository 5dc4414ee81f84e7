from __future__ import annotations

import pytest

from serving.api import AgentState
from serving.conductor.decision import next_in
from serving.conductor.observation import AskGolden, Course, GoldenResult, Join, Start, Stop, limits
from serving.configuration import File, Manifest
from serving.rank.status import Phase
from tests.serving.conductor.deciding import CHECKED, NOBODY, RIGHT, SERVING, decided, in_state
from tests.serving.replicas import gone, living, machine


def test_all_ranks_of_a_new_generation_are_started_at_once():
    decision = decided(Course(generation=7), NOBODY)

    assert decision.course.state == "forming"
    assert decision.actions == (Start(0, 8), Start(1, 8))


def test_the_first_start_costs_no_restart():
    assert decided(Course(), NOBODY).course.restarts == 0
    assert decided(in_state("failed"), NOBODY).course.restarts == 1


def test_no_rank_starts_while_an_old_one_lives_anywhere():
    decision = decided(Course(), (machine(0), living(1, "serving", generation=9)))

    assert decision.course.state == "absent"
    assert decision.actions == (Stop(1),)
    assert decision.course.waiting == "the old rank on mac-2 has not ended yet"


@pytest.mark.parametrize(
    ("other", "waiting"),
    [
        (None, "mac-2's agent does not answer at 10.0.0.2"),
        (machine(1, unable="mac-2 cannot write /s: No space left"), "mac-2 cannot write /s: No space left"),
        (
            machine(1, agreement="x"),
            "mac-2's agent, release r1, has another configuration or software of this replica; "
            "mac-1 conducts with release r1",
        ),
    ],
)
def test_a_machine_that_is_not_able_is_waited_for_without_cost(other: AgentState | None, waiting: str):
    decision = decided(in_state("failed", reason="before"), (machine(0), other), now=1e6)

    assert (decision.course.state, decision.course.reason, decision.course.restarts) == ("failed", "before", 0)
    assert decision.course.waiting == waiting
    assert decision.actions == ()


def test_a_start_that_did_not_arrive_is_repeated():
    assert decided(in_state("forming"), (living(0, "checking"), machine(1))).actions == (Start(1, 1),)


def test_nobody_is_let_in_before_everybody_has_checked():
    assert decided(in_state("forming"), (living(0, "checked"), living(1, "checking"))).actions == ()


NO_CABLE = "the cable from mac-2 to mac-1 is inactive"


def test_ranks_check_their_weights_while_a_cable_is_down():
    decision = decided(Course(generation=7), (machine(0), machine(1, unable_to_join=NO_CABLE)))

    assert decision.actions == (Start(0, 8), Start(1, 8))


def test_a_cable_is_waited_for_without_cost_before_anybody_is_let_in():
    down = (CHECKED[0], living(1, "checked").model_copy(update={"unable_to_join": NO_CABLE}))
    course = in_state("forming")
    for now in (100.0, 1e4, 1e6):
        decision = decided(course, down, now=now)
        course = decision.course
        assert decision.actions == ()
        assert (course.state, course.waiting, course.restarts) == ("forming", NO_CABLE, 0)
    up = decided(course, CHECKED, now=1e6 + 50)

    assert up.actions == (Join(0, 1),)
    assert up.course.waiting == ""


def test_rank_0_is_let_in_when_all_have_checked():
    decision = decided(in_state("forming"), CHECKED)

    assert decision.actions == (Join(0, 1),)
    assert decision.course.joining


@pytest.mark.parametrize(
    ("phases", "let_in"),
    [
        (["checked"], [0]),
        (["joining", "checked"], [1]),
        (["checked", "checked", "checked", "checked"], [0]),
        (["joining", "checked", "checked", "checked"], [1, 2]),
        (["joining", "joining", "checked", "checked"], [2]),
        (["joining", "joining", "joining", "checked"], [3]),
        (["joining", "joining", "joining", "joining"], []),
        ([None, "checked"], []),
    ],
)
def test_who_listens_is_let_in_before_who_connects(phases: list[Phase | None], let_in: list[int]):
    assert next_in(phases) == let_in


def test_a_rank_that_was_not_let_in_yet_is_let_in_again():
    decision = decided(in_state("forming", joining=True), (living(0, "joining"), living(1, "checked")))

    assert decision.actions == (Join(1, 1),)


def test_ranks_that_have_joined_are_loading():
    decision = decided(in_state("forming", joining=True), (living(0, "loading"), living(1, "serving")))

    assert decision.course.state == "loading"


def test_the_golden_question_is_asked_once_all_serve():
    assert decided(in_state("loading"), (living(0, "serving"), living(1, "loading"))).actions == ()

    decision = decided(in_state("loading"), SERVING)

    assert (decision.course.state, decision.actions) == ("warming", (AskGolden(1),))


def test_ready_needs_the_right_golden_answer():
    assert decided(in_state("warming"), SERVING).course.state == "warming"
    assert decided(in_state("warming"), SERVING, golden=RIGHT).course.state == "ready"


def test_an_answer_to_an_earlier_generation_proves_nothing():
    assert decided(in_state("warming"), SERVING, golden=GoldenResult(0, "")).course.state == "warming"


def test_ready_is_not_declared_while_an_agent_is_silent():
    assert decided(in_state("warming"), (SERVING[0], None), golden=RIGHT).course.state == "warming"


@pytest.mark.parametrize("state", ["forming", "loading", "warming", "ready"])
def test_a_silent_agent_is_tolerated_for_a_moment_only_while_nothing_proves_its_rank(state: str):
    assert decided(in_state(state), (SERVING[0], None), now=1003).course.state != "failed"

    decision = decided(in_state(state), (SERVING[0], None), now=1005)

    assert (decision.course.state, decision.actions) == ("failed", (Stop(0),))
    assert decision.course.reason == "mac-2's agent stopped answering at 10.0.0.2"


def test_answering_again_in_time_is_remembered():
    course = decided(in_state("ready"), SERVING, now=1003).course

    assert decided(course, (SERVING[0], None), now=1006).course.state == "ready"


def test_a_broken_replica_begins_afresh_when_asked():
    course = decided(in_state("broken", restarts=2), NOBODY, afresh=True).course

    assert (course.state, course.restarts) == ("absent", 0)


def test_restarts_are_forgotten_after_a_time_of_ready():
    assert decided(in_state("ready", restarts=2), SERVING, now=1099).course.restarts == 2
    assert decided(in_state("ready", restarts=2), SERVING, now=1100).course.restarts == 0


def test_the_first_restart_comes_at_once_and_each_after_it_later():
    first = decided(in_state("failed", restarts=0), NOBODY)
    second = decided(in_state("failed", restarts=1), NOBODY)
    second_later = decided(in_state("failed", restarts=1), NOBODY, now=1001)

    assert (first.course.state, second.course.state, second_later.course.state) == ("forming", "failed", "forming")
    assert second.course.waiting == "a pause of 1 seconds before restart 2 of 2"


def test_an_agent_of_another_configuration_is_not_told_to_stop():
    other = living(1, "serving").model_copy(update={"agreement": "x"})

    assert decided(in_state("failed"), (machine(0), other)).actions == ()


def test_a_generation_is_newer_than_all_that_any_machine_remembers():
    assert decided(in_state("absent"), (machine(0), gone(1, 1, generation=41))).course.generation == 42


def test_large_weights_are_given_longer():
    large = limits(Manifest(files={"w": File(size=400 * 10**9, sha256="x")}, digest="d"))

    assert (large.checking, large.loading) == (4060, 8120)
