"""How a roll is judged, by made-up looks and lines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.records import Look
from tests.rolls.judging import Row, missed, out_of_order
from tests.rolls.watching import pause, seconds_without

GOOD = Row("slots", code=0, expected=0, answered=40, failures=(), without=0.0, keeps_one=True)
PLAN = ["1. replica a on m1, m2, weights w", "2. replica b on m3, weights w"]


def looks(answers: str) -> list[Look]:
    """A look each second: y, n, or . for silence."""
    kinds = {"y": "yes", "n": "no", ".": "silence"}
    return [Look(float(at), at + 0.1, kinds[each]) for at, each in enumerate(answers)]  # type: ignore[arg-type]


def step(replica: str, what: str, *machines: str) -> list[str]:
    return [f"--> Starting operation: Replica {replica}: {what} ", *(f"    [{name}] Success" for name in machines)]


def test_what_is_as_it_should_be_misses_nothing():
    assert list(missed(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": 1}, "the deploy ended with 1, needed 0"),
        ({"failures": ("altered: x",)}, "failed: altered: x"),
        ({"answered": 0}, "nobody was answered"),
        ({"without": 1.5}, "no replica was ready for 1.5 s"),
        ({"unsaid": "why"}, "not told: 'why'"),
        ({"pause": 14.0, "cold_start": 10.0}, "a pause of 14.0 s, 1.40 cold starts"),
        ({"again": 2}, "the next run changed 2 things"),
        ({"again": None}, "the next run failed"),
        ({"serves": ("it did not go back",)}, "it did not go back"),
    ],
)
def test_every_bound_that_is_missed_is_said(change: dict[str, object], said: str):
    assert list(missed(replace(GOOD, **change))) == [said]


def test_an_only_replica_may_be_away_for_as_long_as_a_cold_start():
    row = replace(GOOD, without=9.0, keeps_one=False, pause=9.0, cold_start=8.0)

    assert list(missed(row)) == []


def test_the_time_without_any_replica_is_the_longest_in_which_no_last_look_was_a_yes():
    assert seconds_without({"a": looks("ynny"), "b": looks("yyyy")}, 0, 10) == 0
    assert seconds_without({"a": looks("yn..y"), "b": looks("ynnyy")}, 0, 10) == pytest.approx(2)


def test_a_gap_that_does_not_end_counts_until_the_end():
    assert seconds_without({"a": looks("ynn")}, 0, 9) == pytest.approx(9 - 1.1)


def test_a_pause_ends_with_the_first_yes_that_lasts():
    assert pause(looks("yn.yny"), 0) == pytest.approx(4)
    assert pause(looks("yyy"), 0) is None
    assert pause(looks("ynn"), 0) is None


def test_turns_in_their_order_are_in_order():
    lines = [*PLAN, *step("a", "drain", "m1"), *step("a", "readmit", "m1"), *step("b", "drain", "m3")]

    assert out_of_order(lines) == []


def test_a_machine_that_is_touched_before_its_turn_is_named():
    early = [*PLAN, *step("a", "drain", "m1"), *step("b", "drain", "m3"), *step("a", "readmit", "m1")]
    other = [*PLAN, *step("a", "drain", "m1", "m3"), *step("a", "readmit", "m1")]

    assert out_of_order(early) == ["m3 was touched in 'Replica b: drain'"]
    assert out_of_order(other) == ["m3 was touched in 'Replica a: drain'"]
