"""A lab that is not as declared is refused whole: the reason is told, and nothing on any machine differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.deploy.running import ADDRESSES, STANDIN, agent, deploy, links_report, replica_until
from tests.serving.waiting import wait_until
from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab

REFUSALS = {
    "one fault": {"rdma-off": ("mac-3", "disabled", "enabled", "rdma_ctl enable")},
    "a fault at each Mac": {
        "macos-26.1": ("mac-2", "26.1 (25B78)", "26.3 or newer", "softwareupdate"),
        "cable-missing": ("mac-1", "no port of mac-1 sees", "a Thunderbolt cable", "Plug it in"),
        "cable-40": ("mac-4", "40 Gb/s", "80 Gb/s", "certified for Thunderbolt 5"),
        "chip-m4-mini": ("mac-3", "Thunderbolt 4", "Thunderbolt 5", "replica of its own"),
    },
}


@pytest.fixture
def put(lab: Lab, faults: dict[str, tuple[str, ...]]) -> Iterator[None]:
    """These faults, until the test is over, and the replicas serve again."""
    with ExitStack() as mending:
        for fault, (machine, *_) in faults.items():
            lab.fault(fault, machine)
            mending.callback(lab.mend, fault, machine)
        wait_until(lambda: all(is_settled(lab, machine) for machine in ADDRESSES), seconds=60)
        yield
    for first in ("mac-1", "mac-3"):
        replica_until(first, "ready")


def is_settled(lab: Lab, machine: str) -> bool:
    """Whether the daemons of a Mac, which a fault may have restarted, have done all they do after a boot."""
    report = links_report(lab, machine)
    try:
        return report.get("settled", False) and agent(machine, "/state").json()["boot"] == report["boot"]
    except httpx.TransportError:
        return False


@pytest.mark.usefixtures("deployed", "put")
@pytest.mark.parametrize("faults", REFUSALS.values(), ids=REFUSALS)
def test_what_is_wrong_is_refused_by_name_and_nothing_differs(
    trees: Callable[[], dict[str, str]], faults: dict[str, tuple[str, ...]]
):
    before = trees()
    run = deploy(STANDIN)

    assert run.code == 1
    for word in sum(faults.values(), ()):
        assert word in run.output
    assert "Traceback" not in run.output
    assert differing(before, trees()) == {}
