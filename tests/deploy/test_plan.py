"""The dry run is the plan, in words, and touches nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deploy.running import STANDIN, deploy
from tests.standin.lab import Lab

pytestmark = pytest.mark.lab

STEPS = [
    "Create account _cidermill",
    "Make directories",
    "Lay the node environment",
    "Lay the gateway environment",
    "Lay our software",
    "Send weights cider-1",
    "Load dev.cidermill.links",
    "Replica a: load agents on mac-1, mac-2",
    "Replica a: start its ranks together",
    "Replica b: load agents on mac-3, mac-4",
    "Replica b: start its ranks together",
    "Load dev.cidermill.gateway",
    "Wait until the gateway answers",
]


def test_a_dry_run_tells_the_whole_plan_in_order_and_changes_nothing(
    lab: Lab, trees: Callable[[], dict[str, dict[str, str]]]
):
    before = trees()

    run = deploy(STANDIN, "--dry")

    places = [run.output.find(f"    {step} ") for step in STEPS]
    assert run.code == 0, run.output
    assert -1 not in places
    assert places == sorted(places)
    assert trees() == before
