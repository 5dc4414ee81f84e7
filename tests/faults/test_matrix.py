"""A part of the fault matrix that fits into the gate: what became of requests, not how long it took.

All of it, with its seconds, is `python -m tests.faults --times 3`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.judging import Row

pytestmark = pytest.mark.lab

Put = Callable[[str, str, int], Row]


def requires_nothing_lost(row: Row) -> None:
    assert (row.lost, row.altered, row.overdue) == (0, 0, 0), row.losses
    assert row.lies == 0
    assert row.answered > 0


def test_a_replica_with_a_frozen_rank_says_which_and_answers_every_request_in_the_end(put: Put) -> None:
    row = put("rank-frozen", "a", 1)

    requires_nothing_lost(row)
    assert row.disturbed
    assert row.ready_again is not None
    assert row.continued + row.replayed > 0
    assert any("mac-2" in said for said in row.words)
