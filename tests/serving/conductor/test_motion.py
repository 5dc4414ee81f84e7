"""Two ranks whose counters go on or stand still, as the conductor sees them four times a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.api import AgentState, StateName, agreement
from serving.conductor.decision import decide
from serving.conductor.observation import Course, Limits, Observation
from serving.rank.status import Activity, Phase
from tests.serving.replicas import gone, living, machine, replica, ticking

LIMITS = Limits(unanswered=8, checking=60, joining=30, loading=120, warming=300, settled=100)
PERIOD = 0.25
START = 1000.0

Saying = Callable[[int], AgentState | None]
"""What a machine says in each round."""


def moving(rank: int, activity: Activity = "idle") -> Saying:
    return lambda step: ticking(rank, 1 + step, 1 + step, activity)


def waiting(rank: int, activity: Activity = "idle") -> Saying:
    """Runs, but its loop stands still."""
    return lambda step: ticking(rank, 7, 1 + step, activity)


def frozen(rank: int, activity: Activity = "idle") -> Saying:
    return lambda _: ticking(rank, 7, 7, activity)


def suspended(rank: int, phase: Phase = "serving") -> Saying:
    """Its agent says that the kernel holds it."""
    told = ticking(rank, 7, 7, "decoding", phase)
    assert told.rank is not None
    held = told.model_copy(update={"rank": told.rank.model_copy(update={"suspended": True})})
    return lambda _: held


def silent(_: int) -> None:
    return None


def watched(
    seconds: float, *sayings: Saying, state: StateName = "ready", course: Course | None = None, begin: float = START
) -> Course:
    """The course after so many seconds, or when it has changed its state."""
    course = course or Course(state=state, generation=1, since=begin, beginning=False)
    before = course.state
    for step in range(round(seconds / PERIOD) + 1):
        course = decide(
            Observation(
                now=begin + step * PERIOD,
                replica=replica(),
                agreement=agreement(replica()),
                limits=LIMITS,
                course=course,
                machines=tuple(saying(step) for saying in sayings),
            )
        ).course
        if course.state != before:
            break
    return course


def test_ranks_that_move_are_left_alone():
    assert watched(60, moving(0), moving(1)).state == "ready"


@pytest.mark.parametrize("activity", ["idle", "decoding", "prefilling"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_stopped_is_named_within_five_seconds(rank: int, activity: Activity):
    others = [waiting(other, activity) for other in range(2)]
    others[rank] = frozen(rank, activity)
    course = watched(5, *others)

    assert course.state == "failed"
    assert course.reason == (f"rank {rank} on mac-{rank + 1} is stopped: its process has not moved for 4 seconds")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_the_kernel_holds_is_named_sooner(rank: int):
    others = [waiting(other, "decoding") for other in range(2)]
    others[rank] = suspended(rank)
    course = watched(1.5, *others)

    assert course.state == "failed"
    assert course.reason == f"rank {rank} on mac-{rank + 1} is stopped: a signal or a debugger holds its process"


def test_a_process_that_is_held_for_a_moment_is_left_alone():
    def looked_at(step: int) -> AgentState | None:
        return suspended(0)(step) if step < 4 else moving(0)(step)

    assert watched(60, looked_at, moving(1)).state == "ready"


def test_a_process_that_is_held_while_it_loads_has_the_time_of_one_that_loads():
    def loading(rank: int) -> Saying:
        return suspended(rank, "loading")

    assert watched(50, loading(0), loading(1), state="loading").state == "loading"


def test_steps_that_stop_while_all_processes_run_are_told_as_waiting_for_each_other():
    course = watched(5, waiting(0, "decoding"), waiting(1, "decoding"))

    assert course.state == "failed"
    assert course.reason == (
        "rank 0 on mac-1 and rank 1 on mac-2 took no step for 4 seconds while decoding, though the processes run: "
        "ranks wait for each other. Look at the cables"
    )


def test_a_long_prompt_is_not_a_freeze():
    assert watched(100, waiting(0, "prefilling"), waiting(1, "prefilling")).state == "ready"
    assert watched(125, waiting(0, "prefilling"), waiting(1, "prefilling")).state == "failed"


def reading(rank: int, *lasting: float) -> Saying:
    """Reads one part of a prompt after the other, each so many seconds; the last for ever."""
    ends = [sum(lasting[: number + 1]) for number in range(len(lasting))]
    return lambda step: ticking(rank, 1 + sum(end <= step * PERIOD for end in ends), 1 + step, "prefilling")


def test_the_parts_of_a_prompt_may_take_longer_and_longer():
    slow = (40, 90, 110, 250, 600)

    assert watched(1090, reading(0, *slow), reading(1, *slow)).state == "ready"


def test_a_part_that_takes_many_times_as_long_as_the_longest_before_is_a_freeze():
    assert watched(490, reading(0, 40, 90), reading(1, 40, 90)).state == "ready"
    assert watched(500, reading(0, 40, 90), reading(1, 40, 90)).state == "failed"


def cabled(saying: Saying) -> Saying:
    """Says that its cable is down, too."""

    def said(step: int) -> AgentState | None:
        told = saying(step)
        return told and told.model_copy(update={"unable_to_join": "the cable from mac-1 to mac-2 is inactive"})

    return said


def test_a_prompt_is_not_read_with_a_machine_that_has_gone():
    course = watched(5, cabled(waiting(0, "prefilling")), silent)

    assert course.state == "failed"
    assert "no step for 4 seconds while prefilling" in course.reason


def test_one_sign_of_a_machine_that_has_gone_is_not_enough_to_break_off_reading():
    assert watched(100, waiting(0, "prefilling"), silent).state == "ready"
    assert watched(100, cabled(waiting(0, "prefilling")), waiting(1, "prefilling")).state == "ready"


def test_a_step_shows_that_all_are_there_whatever_the_signs_say():
    assert watched(100, cabled(moving(0, "prefilling")), silent).state == "ready"


def test_a_rank_that_waits_for_one_that_reads_a_prompt_is_patient_too():
    assert watched(60, waiting(0, "decoding"), waiting(1, "prefilling")).state == "ready"


def test_the_first_steps_may_take_as_long_as_a_prompt():
    assert watched(60, waiting(0, "decoding"), waiting(1, "decoding"), state="warming").state == "warming"


def test_loading_may_keep_a_process_from_beating_for_a_while():
    def loading(rank: int) -> Saying:
        return lambda _: ticking(rank, 0, 7, "idle", "loading")

    assert watched(50, loading(0), loading(1), state="loading").state == "loading"
    assert "is stopped" in watched(70, loading(0), loading(1), state="loading").reason


def test_joining_keeps_processes_from_beating_and_has_a_limit_of_its_own():
    def joining(rank: int) -> Saying:
        return lambda _: ticking(rank, 0, 7, "idle", "joining")

    course = Course(state="forming", joining=True, generation=1, since=START, beginning=False)

    assert watched(20, joining(0), joining(1), course=course).state == "forming"
    assert "did not join the others within 30 seconds" in watched(31, joining(0), joining(1), course=course).reason


def test_a_rank_that_has_not_begun_to_beat_is_not_called_stopped():
    def young(rank: int) -> Saying:
        return lambda step: ticking(rank, step + 1, 0)

    assert watched(60, young(0), young(1)).state == "ready"


def test_a_silent_agent_of_a_ready_replica_is_told_of_and_nothing_is_disturbed():
    course = watched(600, moving(0), silent)

    assert course.state == "ready"
    assert course.notice == "mac-2's agent does not answer at 10.0.0.2; its rank goes on"


def test_a_silent_agent_is_told_of_within_five_seconds():
    assert watched(5, moving(0), silent).notice != ""


def test_a_silent_machine_whose_rank_is_lost_shows_in_the_steps_of_rank_0():
    course = watched(5, waiting(0), silent)

    assert course.state == "failed"
    assert course.reason == (
        "rank 0 on mac-1 took no step for 4 seconds while idle, though the processes run: ranks wait for each other; "
        "mac-2 does not answer. Look at the cables"
    )


def test_an_agent_that_answers_again_with_its_rank_changes_nothing():
    silence = watched(20, moving(0), silent)
    course = watched(20, moving(0), moving(1), course=silence, begin=START + 20)

    assert (course.state, course.notice) == ("ready", "")


@pytest.mark.parametrize("back", [gone(1, None), machine(1)])
def test_an_agent_that_answers_again_without_its_rank_is_a_fault(back: AgentState):
    silence = watched(20, moving(0), silent)

    assert watched(1, moving(0), lambda _: back, course=silence, begin=START + 20).state == "failed"


def test_a_machine_that_slept_is_judged_anew():
    silence = watched(20, moving(0), lambda step: silent(step) if step else ticking(1, 7, 7))
    course = watched(2, moving(0), frozen(1), course=silence, begin=START + 20)

    assert course.state == "ready"


def test_a_conductor_that_was_itself_stopped_blames_nobody():
    before = watched(10, moving(0), moving(1))
    course = watched(2, frozen(0), silent, course=before, begin=START + 300)

    assert course.state == "ready"
    assert course.since == START + 290


def test_counters_of_an_earlier_generation_show_nothing():
    def earlier(rank: int) -> Saying:
        return lambda _: ticking(rank, 7, 7, generation=0)

    assert watched(1, earlier(0), earlier(1), state="loading").reason.startswith(
        "a rank of generation 0 lives on mac-1"
    )


def test_a_machine_short_of_memory_is_told_of():
    def short(step: int) -> AgentState:
        return ticking(0, 1 + step, 1 + step).model_copy(update={"pressure": "critical"})

    assert watched(1, short, moving(1)).notice == "mac-1 is critically short of memory"


@pytest.mark.parametrize(
    ("held", "notice"),
    [
        (3_000_000_000, "rank 1 on mac-2 holds 3 GB of weights; 2 GB were planned with"),
        (1_900_000_000, "rank 1 on mac-2 holds 1.9 GB of weights; 2 GB were planned with"),
        (2_010_000_000, ""),
        (None, ""),
    ],
    ids=["more", "less", "within one per cent", "an earlier release's, which does not tell"],
)
def test_a_rank_that_holds_other_than_was_planned_is_told_of_and_goes_on(held: int | None, notice: str):
    planned = replica(planned_bytes=(2_000_000_000, 2_000_000_000))
    ranks = [living(0, "serving", weights_bytes=2_000_000_000), living(1, "serving", weights_bytes=held)]
    course = decide(
        Observation(
            now=START,
            replica=planned,
            agreement=agreement(planned),
            limits=LIMITS,
            course=Course(state="ready", generation=1, since=START, beginning=False),
            machines=tuple(each.model_copy(update={"agreement": agreement(planned)}) for each in ranks),
        )
    ).course

    assert (course.state, course.notice) == ("ready", notice)
