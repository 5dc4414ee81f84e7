"""What of the machine that the tests run on belongs to which Mac."""

from __future__ import annotations

import os

import pytest

from tests.standin.power import processors


@pytest.mark.parametrize(
    ("present", "count", "shares"),
    [
        ({0, 1}, 1, [{0, 1}]),
        ({0, 1}, 4, [{0}, {1}, {0}, {1}]),
        ({0, 1, 2, 3, 5}, 2, [{0, 2, 5}, {1, 3}]),
        ({7}, 2, [{7}, {7}]),
    ],
)
def test_macs_share_the_processors_and_neighbours_have_others(
    monkeypatch: pytest.MonkeyPatch, present: set[int], count: int, shares: list[set[int]]
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: present)

    assert [processors(place, count) for place in range(count)] == shares
