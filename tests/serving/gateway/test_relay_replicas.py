"""What is known of replicas, and which of them is chosen: values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.gateway.affinity import beginnings
from serving.gateway.relay_replicas import Known, Seen, Times, choose, seconds_left
from tests.serving.gateway.endpoints import served

TIMES = Times(doubt=2, unreachable=1, unready=3)


def look(at: float, *, ready: bool = True, answered: bool = True) -> Seen:
    return Seen(answered=answered, ready=ready, reason="" if ready else "it forms", since=at, at=at)


def known(name: str = "a", slots: int = 4, in_flight: int = 0, given: int = 0, ready: bool = True) -> Known:
    each = Known(served(name, 1, slots=slots), TIMES)
    each.note(look(1, ready=ready))
    each.in_flight, each.given = in_flight, given
    return each


def test_nothing_is_asked_of_a_replica_before_it_was_seen_to_be_ready():
    new = Known(served("a", 1), TIMES)

    assert not new.is_usable
    new.note(look(1))
    assert new.is_usable
    new.note(look(2, ready=False))
    assert not new.is_usable


def test_one_that_was_not_asked_yet_or_is_only_doubted_may_be_ready_and_one_that_says_it_is_not_is_not():
    new, doubted, fallen = Known(served("a", 1), TIMES), known(), known(ready=False)
    doubted.doubt(10)

    assert [each.may_be_ready for each in (new, doubted, fallen)] == [True, True, False]


def test_one_that_failed_is_doubted_until_it_was_seen_to_fall_and_return():
    each = known()
    each.doubt(10)

    each.note(look(10.3))
    assert not each.is_usable
    each.note(look(10.6, ready=False))
    each.note(look(10.9))
    assert each.is_usable


def test_one_that_failed_and_says_it_is_ready_all_along_is_asked_again_after_a_while():
    each = known()
    each.doubt(10)
    seen: list[bool] = []
    for at in (9.9, 11.9, 12.1):
        each.note(look(at))
        seen.append(each.is_usable)

    assert seen == [False, False, True]


def test_a_look_that_began_before_a_failure_proves_nothing():
    each = known(ready=False)
    each.doubt(10)
    each.note(look(9.9))

    assert not each.is_usable


@pytest.mark.parametrize(
    ("replicas", "chosen"),
    [
        ([known("a"), known("b", ready=False)], "a"),
        ([known("a", in_flight=1), known("b")], "b"),
        ([known("a", slots=8, in_flight=2), known("b", slots=2, in_flight=1)], "a"),
        ([known("a", given=1), known("b")], "b"),
        ([known("a", ready=False)], None),
        ([], None),
    ],
)
def test_the_least_busy_for_its_slots_is_chosen_and_among_equals_the_one_that_had_least(
    replicas: list[Known], chosen: str | None
):
    choice = choose(replicas)

    assert (choice and choice.served.name) == chosen


def test_one_to_be_avoided_is_chosen_only_when_there_is_no_other():
    a, b = known("a"), known("b", in_flight=4)

    assert choose([a, b], avoided=[a]) is b
    assert choose([a], avoided=[a]) is a


def test_an_attempt_with_a_replica_that_is_well_has_all_the_time_it_needs():
    assert seconds_left(look(1), heard=2, now=1000, times=TIMES) is None


@pytest.mark.parametrize(
    ("answered", "since", "heard", "left"),
    [(False, 10, 5, 0.5), (False, 10, 10.4, 0.9), (True, 10, 5, 2.5), (True, 5, 10, 2.5)],
)
def test_one_that_fell_silent_is_given_up_sooner_when_it_does_not_answer_to_looks_either(
    answered: bool, since: float, heard: float, left: float
):
    seen = replace(look(10.4, ready=False, answered=answered), since=since)

    assert seconds_left(seen, heard, now=10.5, times=TIMES) == pytest.approx(left)


def test_a_replica_is_unwell_since_the_first_of_the_looks_that_say_so():
    each = known()
    for at in (5, 6, 7):
        each.note(look(at, ready=False))

    assert (each.seen.since, each.seen.at) == (5, 7)


@pytest.mark.parametrize(("generation", "remembers"), [(1, True), (None, True), (2, False)])
def test_what_a_replica_has_read_is_forgotten_when_its_ranks_were_started_anew(generation: int | None, remembers: bool):
    each, request = known(), beginnings({"messages": [{"role": "user", "content": "Hello"}]})
    each.note(replace(look(2), generation=1))
    each.remembered.note(request)
    each.note(replace(look(3, ready=False), generation=generation))

    assert each.remembered.familiar(request).returns is remembers
