"""Real clients complete conversations with a real gateway before a real rank; what they send is recorded between.

These are the quick ones, from the lock. `python -m tests.clients` tries all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.door import Door, given
from tests.clients.running import gateway
from tests.clients.trial import CLIENTS, Trial, tried


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The gateway that the environment names, or one with one rank on loopback."""
    named = given()
    if named is not None:
        yield named
        return
    with gateway(tmp_path_factory.mktemp("clients")) as begun:
        yield begun


@pytest.fixture(scope="module", params=[name for name, client in CLIENTS.items() if client.in_gate])
def trial(door: Door, request: pytest.FixtureRequest) -> Trial:
    return tried(request.param, door)


def test_a_client_converses_and_calls_a_tool_and_nothing_is_refused(trial: Trial):
    assert trial.faults == [], trial.said


def test_a_client_gets_an_answer_in_pieces(trial: Trial):
    assert trial.streamed
