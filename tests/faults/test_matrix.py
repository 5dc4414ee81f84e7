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


@pytest.mark.parametrize(
    ("fault", "replica", "rank", "word"),
    [
        ("rank-killed", "a", 0, "was killed"),
        ("rank-frozen", "a", 1, "mac-2"),
    ],
)
def test_a_replica_whose_ranks_fall_says_why_and_answers_every_request_in_the_end(
    put: Put, fault: str, replica: str, rank: int, word: str
) -> None:
    row = put(fault, replica, rank)

    requires_nothing_lost(row)
    assert row.disturbed
    assert row.ready_again is not None
    assert row.continued + row.replayed > 0
    assert any(word in said for said in row.words)


def test_a_killed_agent_finds_its_rank_again_and_no_request_is_lost(put: Put) -> None:
    row = put("agent-killed", "b", 1)

    requires_nothing_lost(row)
    assert not row.disturbed


def test_a_wrong_bit_is_named_and_whoever_asks_meanwhile_is_told_or_served_elsewhere(put: Put) -> None:
    row = put("weights-wrong", "b", 1)

    requires_nothing_lost(row)
    assert row.ready_again is not None
    assert any(said.startswith("broken") and "model.safetensors" in said and "mac-4" in said for said in row.words)
