from __future__ import annotations

from dataclasses import replace

import pytest

from serving.api import AgentState
from serving.conductor.observation import Course, GoldenResult, Stop
from tests.serving.conductor.deciding import CHECKED, SERVING, decided, in_state
from tests.serving.replicas import gone, living, machine, status


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


def test_a_machine_that_cannot_start_its_rank_ends_the_attempt_with_its_reason():
    full = machine(1, unable="mac-2 cannot write /s: No space left on device. Make room there")

    decision = decided(in_state("forming"), (CHECKED[0], full))

    assert (decision.course.state, decision.course.reason) == ("failed", full.unable)
