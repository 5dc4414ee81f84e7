"""The table of states: what Apple's commands print on a lab, through the facts, and every finding told of it."""

from __future__ import annotations

import pytest

from tests.states import (
    states_all_well,
    states_of_cables,
    states_of_macs,
    states_of_networks,
    states_of_rdma,
    states_of_updates,
)
from tests.states.reading import verdict
from tests.states.state import State

PARTS = (states_all_well, states_of_cables, states_of_rdma, states_of_networks, states_of_macs, states_of_updates)
STATES: dict[str, State] = {name: row for part in PARTS for name, row in part.STATES.items()}


@pytest.mark.parametrize("row", STATES.values(), ids=STATES)
def test_the_verdict_tells_this_and_nothing_else(row: State):
    told = verdict(row.lab)

    assert sorted((f.machine, f.check, f.severity) for f in told) == sorted(expected[:3] for expected in row.told)
    for machine, check, _, word in row.told:
        assert any(word in f.seen for f in told if (f.machine, f.check) == (machine, check)), [f.seen for f in told]


def test_no_state_is_in_the_table_twice():
    assert len(STATES) == sum(len(part.STATES) for part in PARTS) >= 40
