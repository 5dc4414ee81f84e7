"""A lab that is not as declared is refused whole: the reason is told, and nothing on any machine differs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deploy.running import STANDIN, deploy
from tests.standin.lab import Lab

pytestmark = pytest.mark.lab

REFUSALS = {
    "macos-26.1": ("mac-2", "26.1 (25B78)", "26.3 or newer", "softwareupdate"),
    "rdma-off": ("mac-3", "disabled", "enabled", "rdma_ctl enable"),
    "cable-missing": ("mac-1", "no port of mac-1 sees", "a Thunderbolt cable", "Plug it in"),
    "cable-40": ("mac-4", "40 Gb/s", "80 Gb/s", "certified for Thunderbolt 5"),
    "chip-m4-mini": ("mac-2", "Thunderbolt 4", "Thunderbolt 5", "replica of its own"),
}


@pytest.mark.parametrize(("fault", "told"), REFUSALS.items(), ids=REFUSALS)
def test_a_fault_is_refused_by_name_and_nothing_differs(
    lab: Lab,
    trees: Callable[[], dict[str, dict[str, str]]],
    fault: str,
    told: tuple[str, str, str, str],
):
    machine, *words = told
    lab.fault(fault, machine)
    before = trees()
    try:
        run = deploy(STANDIN)
        after = trees()
    finally:
        lab.mend(fault, machine)

    assert run.code == 1
    for word in (machine, *words):
        assert word in run.output
    assert "Traceback" not in run.output
    assert after == before
