"""Faults of cables, seen from both ends by what the Macs' own commands say."""

from __future__ import annotations

import json
import time

import pytest

from tests.standin.conftest import wait_for
from tests.standin.kernel_network import SETTLING_SECONDS
from tests.standin.lab import Lab
from tests.standin.test_faults import fault

pytestmark = pytest.mark.lab

IFCONFIG = "/sbin/ifconfig"


def neighbours(lab: Lab, name: str) -> dict[str, str]:
    """Receptacle -> the domain at its other end, of every port with a Mac there, looking as MLX does."""
    shown = lab.call(name, "/usr/sbin/system_profiler", "SPThunderboltDataType", "-json").stdout
    buses = json.loads(shown)["SPThunderboltDataType"]
    return {
        bus["receptacle_1_tag"]["receptacle_id_key"]: item["domain_uuid_key"]
        for bus in buses
        for item in bus.get("_items", [])
        if "domain_uuid_key" in item
    }


def test_a_mac_without_power_is_missed_by_all_its_neighbours(lab: Lab) -> None:
    before = neighbours(lab, "mac-1")

    with fault(lab, "power-off", "mac-4"):
        assert len(neighbours(lab, "mac-1")) == len(before) - 1

    assert wait_for(lambda: neighbours(lab, "mac-1") == before)


def test_a_cable_too_many_is_seen_at_both_ends(lab: Lab) -> None:
    before = {name: neighbours(lab, name) for name in ("mac-1", "mac-2")}

    with fault(lab, "cable-loop", "mac-1"):
        extra = {name: neighbours(lab, name).keys() - before[name].keys() for name in before}

    assert extra == {"mac-1": {"6"}, "mac-2": {"6"}}
    assert {name: neighbours(lab, name) for name in before} == before


def test_a_dock_hides_the_mac_behind_it_from_both_ends(lab: Lab) -> None:
    with fault(lab, "dock", "mac-1"):
        assert "2" not in neighbours(lab, "mac-1")
        assert "2" not in neighbours(lab, "mac-2")

    assert "2" in neighbours(lab, "mac-1")


def test_a_cable_next_to_ethernet_is_another_port_that_works(lab: Lab) -> None:
    before = neighbours(lab, "mac-4")
    (moved,) = {cable.ends[0][1] for cable in lab.rack().cables if cable.ends == (("mac-1", 4), ("mac-4", 2))}

    with fault(lab, "port-next-to-ethernet", "mac-4"):
        during = neighbours(lab, "mac-4")
        for name, port in (("mac-4", "en2"), ("mac-1", f"en{moved + 1}")):
            lab.call(name, IFCONFIG, "bridge0", "deletem", port)
            lab.call(name, IFCONFIG, port, "up")
        time.sleep(SETTLING_SECONDS)
        works = wait_for(lambda: "status: active" in lab.call("mac-4", IFCONFIG, "en2").stdout)
        lab.call("mac-1", IFCONFIG, "bridge0", "addm", f"en{moved + 1}")

    assert works
    assert during.keys() == before.keys() - {"2"} | {"1"}
    assert neighbours(lab, "mac-4").keys() == before.keys()
