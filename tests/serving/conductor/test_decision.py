from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from serving.api import AgentState, agreement
from serving.conductor.decision import decide, next_in
from serving.conductor.observation import (
    AskGolden,
    Course,
    Decision,
    GoldenResult,
    Join,
    Limits,
    Observation,
    Start,
    Stop,
    limits,
)
from serving.configuration import File, Manifest
from serving.rank.status import Phase
from tests.serving.replicas import gone, living, machine, replica, status

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


def test_a_wrong_golden_answer_fails_the_replica():
    decision = decided(in_state("warming"), SERVING, golden=GoldenResult(1, "seen 'x', needed 'Me'"))

    assert (decision.course.state, decision.course.reason) == ("failed", "seen 'x', needed 'Me'")
    assert decision.actions == (Stop(0), Stop(1))


def test_the_same_wrong_words_from_new_ranks_are_no_accident():
    wrong = "seen 'x', needed 'Me'"
    once = replace(in_state("warming"), failures=(wrong,), restarts=1)
    otherwise = replace(in_state("warming"), failures=("rank 0 on m0 was killed",), restarts=1)

    assert decided(once, SERVING, golden=GoldenResult(1, wrong)).course.state == "broken"
    assert decided(otherwise, SERVING, golden=GoldenResult(1, wrong)).course.state == "failed"


def test_ready_is_not_declared_while_an_agent_is_silent():
    assert decided(in_state("warming"), (SERVING[0], None), golden=RIGHT).course.state == "warming"


@pytest.mark.parametrize(
    ("field", "seen", "words"),
    [
        ("transport", None, "transport None, needed ring"),
        ("size", 1, "size 1, needed 2"),
        ("rank", 0, "rank 0, needed 1"),
        ("digest", "d2", "weights d2, needed d1"),
    ],
)
def test_a_rank_that_disagrees_stops_all(field: str, seen: object, words: str):
    decision = decided(in_state("loading"), (SERVING[0], living(1, "serving", **{field: seen})))

    assert decision.course.state == "failed"
    assert decision.course.reason == f"rank 1 on mac-2 disagrees with the declaration: {words}"
    assert decision.actions == (Stop(0), Stop(1))


def test_different_versions_are_refused():
    decision = decided(in_state("forming"), (CHECKED[0], living(1, "checked", mlx="0.32.3")))

    assert decision.course.state == "broken"
    assert "mac-2 has mlx 0.32.3 with mlx-lm 0.32.2" in decision.course.reason


@pytest.mark.parametrize("state", ["forming", "loading", "warming", "ready"])
def test_a_rank_that_ends_stops_the_others_and_is_named(state: str):
    decision = decided(in_state(state), (SERVING[0], gone(1, -11)))

    assert decision.course.state == "failed"
    assert decision.course.reason == "rank 1 on mac-2 ended by signal 11 (Segmentation fault)"
    assert decision.actions == (Stop(0),)


def test_the_cause_comes_before_what_followed_from_it():
    follower = gone(0, 70, told=status(0, "ended", reason="the generation loop ended: lost a peer"))

    decision = decided(in_state("ready"), (follower, gone(1, -11, words="Segmentation fault")))

    assert decision.course.reason == (
        "rank 1 on mac-2 ended by signal 11 (Segmentation fault); its last words: Segmentation fault; "
        "rank 0 on mac-1 ended: the generation loop ended: lost a peer"
    )


LOST = gone(1, 70, told=status(1, "ended", reason="the generation loop ended: lost a peer"))
KILLED = gone(0, -9)


@pytest.mark.parametrize(("restarts", "state"), [(0, "failed"), (2, "broken")])
def test_a_cause_that_is_told_after_what_came_of_it_is_put_before_it(restarts: int, state: str):
    first = decided(in_state("ready", restarts=restarts), (SERVING[0], LOST)).course

    then = decided(first, (KILLED, LOST)).course

    cause = "rank 0 on mac-1 was killed, not by its agent"
    assert (first.state, first.reason.startswith("rank 1 on mac-2 ended")) == (state, True)
    assert then.reason.startswith(cause)
    assert "; rank 1 on mac-2 ended: the generation loop ended: lost a peer" in then.reason
    assert [text.startswith(cause) for text in then.failures] == [True]


@pytest.mark.parametrize("stopped", [gone(0, -15), gone(0, 0), gone(0, -9, killed=True)])
def test_a_rank_that_was_stopped_after_a_failure_is_not_taken_for_its_cause(stopped: AgentState):
    first = decided(in_state("ready"), (SERVING[0], LOST)).course

    assert decided(first, (stopped, LOST)).course.reason == first.reason


def test_a_cause_that_was_known_stays_when_others_end_later():
    first = decided(in_state("ready"), (SERVING[0], gone(1, -11))).course

    assert decided(first, (KILLED, gone(1, -11))).course.reason == first.reason


def test_a_machine_that_came_back_without_its_rank_is_a_rank_gone():
    decision = decided(in_state("ready"), (SERVING[0], machine(1)))

    assert decision.course.reason == "rank 1 on mac-2 is gone: its agent knows of no such rank"


def test_a_rank_of_another_generation_is_a_fault():
    assert decided(in_state("forming"), (CHECKED[0], living(1, "serving", generation=5))).course.state == "failed"


@pytest.mark.parametrize("state", ["forming", "loading", "warming", "ready"])
def test_a_silent_agent_is_tolerated_for_a_moment_only_while_nothing_proves_its_rank(state: str):
    assert decided(in_state(state), (SERVING[0], None), now=1003).course.state != "failed"

    decision = decided(in_state(state), (SERVING[0], None), now=1005)

    assert (decision.course.state, decision.actions) == ("failed", (Stop(0),))
    assert decision.course.reason == "mac-2's agent stopped answering at 10.0.0.2"


def test_answering_again_in_time_is_remembered():
    course = decided(in_state("ready"), SERVING, now=1003).course

    assert decided(course, (SERVING[0], None), now=1006).course.state == "ready"


@pytest.mark.parametrize(
    ("course", "machines", "reason"),
    [
        (
            in_state("forming"),
            (living(0, "checked"), living(1, "checking")),
            "rank 1 on mac-2 did not check its weights within 60 seconds",
        ),
        (
            in_state("forming", joining=True),
            (living(0, "joining"), living(1, "joining")),
            "rank 0 on mac-1 and rank 1 on mac-2 did not join the others within 30 seconds",
        ),
        (
            in_state("loading"),
            (living(0, "loading"), living(1, "serving")),
            "rank 0 on mac-1 did not load its weights within 120 seconds",
        ),
        (in_state("warming"), SERVING, "the golden answer did not come within 50 seconds"),
    ],
)
def test_every_step_has_an_end(course: Course, machines: tuple[AgentState, AgentState], reason: str):
    decision = decided(course, machines, now=1200)

    assert (decision.course.state, decision.course.reason) == ("failed", reason)


def test_when_no_restart_is_left_a_person_is_needed():
    decision = decided(in_state("ready", restarts=2), (SERVING[0], gone(1, 1)))

    assert decision.course.state == "broken"
    assert decision.course.reason == (
        "rank 1 on mac-2 ended with exit code 1 (after 2 restarts in a row). Run `cidermill doctor INVENTORY`, repair "
        "what it names, then run the deploy again: the replica then begins afresh"
    )


def test_what_a_restart_cannot_cure_is_broken_at_once():
    refused = status(1, "refused", reason="cannot serve 'w' on mac-2", curable=False)

    decision = decided(in_state("forming"), (CHECKED[0], gone(1, 65, told=refused)))

    assert (decision.course.state, decision.course.reason) == ("broken", "cannot serve 'w' on mac-2")
    assert decision.actions == (Stop(0),)


def test_a_broken_replica_starts_nothing_and_stops_what_lives():
    decision = decided(in_state("broken", reason="why"), (machine(0), living(1, "joining")), now=1e6)

    assert (decision.course.state, decision.course.reason, decision.actions) == ("broken", "why", (Stop(1),))


def test_a_broken_replica_begins_afresh_when_asked():
    course = decided(in_state("broken", restarts=2), NOBODY, afresh=True).course

    assert (course.state, course.restarts) == ("absent", 0)


def test_restarts_are_forgotten_after_a_time_of_ready():
    assert decided(in_state("ready", restarts=2), SERVING, now=1099).course.restarts == 2
    assert decided(in_state("ready", restarts=2), SERVING, now=1100).course.restarts == 0


def test_what_failed_before_the_last_time_is_told_too():
    course = in_state("ready", restarts=2, failures=("no cable", "no cable"))

    reason = decided(course, (SERVING[0], gone(1, 1))).course.reason

    assert "(after 2 restarts in a row). Before that: no cable (2 times). Run" in reason


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (gone(1, 0), "ended by itself, with exit code 0, though nobody stopped it"),
        (
            gone(1, -9, pressure="critical", memory_bytes=96_400_000_000),
            "was killed, not by its agent: likely by macOS, for memory (it held 96.4 GB; pressure now: critical)",
        ),
        (gone(1, -9, killed=True), "was killed by its agent, because it did not end in its time after SIGTERM"),
        (gone(1, None), "ended; how is not known, for the agent that started it had gone"),
    ],
)
def test_how_a_rank_ended_is_told(ended: AgentState, words: str):
    assert decided(in_state("ready"), (SERVING[0], ended)).course.reason == f"rank 1 on mac-2 {words}"


def test_the_first_restart_comes_at_once_and_each_after_it_later():
    first = decided(in_state("failed", restarts=0), NOBODY)
    second = decided(in_state("failed", restarts=1), NOBODY)
    second_later = decided(in_state("failed", restarts=1), NOBODY, now=1001)

    assert (first.course.state, second.course.state, second_later.course.state) == ("forming", "failed", "forming")
    assert second.course.waiting == "a pause of 1 seconds before restart 2 of 2"


def test_a_machine_that_cannot_start_its_rank_ends_the_attempt_with_its_reason():
    full = machine(1, unable="mac-2 cannot write /s: No space left on device. Make room there")

    decision = decided(in_state("forming"), (CHECKED[0], full))

    assert (decision.course.state, decision.course.reason) == ("failed", full.unable)


def test_an_agent_of_another_configuration_is_not_told_to_stop():
    other = living(1, "serving").model_copy(update={"agreement": "x"})

    assert decided(in_state("failed"), (machine(0), other)).actions == ()


def test_a_generation_is_newer_than_all_that_any_machine_remembers():
    assert decided(in_state("absent"), (machine(0), gone(1, 1, generation=41))).course.generation == 42


def test_large_weights_are_given_longer():
    large = limits(Manifest(files={"w": File(size=400 * 10**9, sha256="x")}, digest="d"))

    assert (large.checking, large.loading) == (4060, 8120)
