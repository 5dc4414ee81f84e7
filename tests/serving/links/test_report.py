from __future__ import annotations

from pathlib import Path

import pytest

from serving.configuration import Member
from serving.links.report import CableEnd, CableReport, read_report, unusable
from tests.serving.replicas import replica

MEMBERS = tuple(Member(machine=f"mac-{n}", address=f"10.0.0.{n}") for n in (1, 2, 3, 4))
ACTIVE = CableEnd(interface="en5", address="10.213.0.1", status="active")
INACTIVE = CableEnd(interface="en6", address="10.213.0.5", status="inactive", problem="en6 has no carrier")


def report(**peers: CableEnd) -> CableReport:
    return CableReport(machine="mac-1", boot="b1", peers={name.replace("_", "-"): end for name, end in peers.items()})


def test_a_machine_alone_needs_no_cables():
    assert unusable(replica(transport=None), "mac-1", None) == ""


def test_without_a_report_nothing_is_usable():
    assert unusable(replica(), "mac-1", None) == "the links daemon on mac-1 has not reported since this boot"


def test_an_active_cable_is_usable():
    assert unusable(replica(), "mac-1", report(mac_2=ACTIVE)) == ""


def test_an_inactive_cable_is_told_with_its_reason():
    said = unusable(replica(), "mac-1", report(mac_2=INACTIVE))

    assert said == "the cable from mac-1 to mac-2 is inactive: en6 has no carrier"


@pytest.mark.parametrize(("transport", "usable"), [("ring", True), ("jaccl-ring", True), ("jaccl", False)])
def test_a_ring_needs_its_neighbours_only(transport: str, usable: bool):
    four = replica(transport=transport, members=MEMBERS)

    said = unusable(four, "mac-1", report(mac_2=ACTIVE, mac_3=INACTIVE, mac_4=ACTIVE))

    assert (said == "") is usable


def test_a_cable_nobody_declared_is_told():
    assert unusable(replica(), "mac-1", report()) == "no cable to mac-2 is declared on mac-1"


def test_devices_are_named_after_the_interfaces():
    assert report(mac_2=ACTIVE).rdma_devices() == {"mac-2": "rdma_en5"}


def test_a_report_of_an_earlier_boot_is_no_report(tmp_path: Path):
    path = tmp_path / "report.json"
    path.write_text(report(mac_2=ACTIVE).model_dump_json())

    assert read_report(path, "b1") == report(mac_2=ACTIVE)
    assert read_report(path, "b2") is None
    assert read_report(tmp_path / "none.json", "b1") is None


def test_what_a_newer_daemon_tells_besides_is_passed_over(tmp_path: Path):
    path = tmp_path / "report.json"
    path.write_text(report(mac_2=ACTIVE).model_dump_json()[:-1] + ', "news": 1}')

    assert read_report(path, "b1") == report(mac_2=ACTIVE)
