"""Whether a line through the memory of a process rises."""

from __future__ import annotations

import pytest

from tests.faults.memory import AGE_SECONDS, Sample, Trend, trends


def series(sizes: list[float], *, pid: int = 1, first: float = 0.0, period: float = 20.0) -> list[Sample]:
    return [Sample(first + n * period, "mac-1", "rank", pid, size) for n, size in enumerate(sizes)]


def test_what_grows_on_in_the_second_half_is_not_flat() -> None:
    (trend,) = trends(series([100 + 2 * n for n in range(40)]), 0, 780)

    assert trend.growth_mb == pytest.approx(38)
    assert not trend.is_flat


def test_a_cache_that_fills_in_the_first_half_is_no_growth() -> None:
    (trend,) = trends(series([100 + 5 * min(n, 15) for n in range(40)]), 0, 780)

    assert trend.growth_mb == pytest.approx(0)
    assert trend.is_flat


def test_a_process_that_is_started_again_counts_once_it_is_grown_up() -> None:
    again = [40, 80, 120, *([150] * 10)]
    lives = [*series([150] * 30), *series(again, pid=2, first=600)]
    (trend,) = trends(lives, 0, 860)

    assert AGE_SECONDS == 60
    assert trend.growth_mb == pytest.approx(0)


def test_a_leak_that_survives_restarts_is_seen_across_them() -> None:
    lives = [sample for n in range(6) for sample in series([100 + 20 * n] * 8, pid=n, first=160.0 * n)]
    (trend,) = trends(lives, 0, 960)

    assert not trend.is_flat


def test_too_few_samples_tell_nothing() -> None:
    assert trends(series([1, 2, 3]), 0, 60) == []


def test_a_large_process_may_move_more_than_a_small_one() -> None:
    assert Trend("mac-1", "gateway", 400, 30).is_flat
    assert not Trend("mac-1", "agent", 50, 30).is_flat
