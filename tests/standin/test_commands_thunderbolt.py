"""The Thunderbolt buses, against captured output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.standin.commands.desk import Desk

PROFILER = "/usr/sbin/system_profiler"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def buses(desk: Desk) -> list[dict[str, Any]]:
    return json.loads(desk.run(PROFILER, "SPThunderboltDataType", "-json").stdout)["SPThunderboltDataType"]


def cabled(desk: Desk) -> dict[str, Any]:
    return next(bus for bus in buses(desk) if bus["receptacle_1_tag"]["receptacle_id_key"] == "2")


def test_buses_come_highest_number_first_and_receptacles_count_from_one(desk: Desk) -> None:
    seen = [(bus["_name"], bus["receptacle_1_tag"]["receptacle_id_key"]) for bus in buses(desk)]

    assert seen == [(f"thunderboltusb4_bus_{number}", str(number + 1)) for number in range(5, -1, -1)]


def test_a_port_without_a_cable(desk: Desk) -> None:
    desk.recable(present=False)
    bus = cabled(desk)

    assert list(bus) == [
        "_name", "device_name_key", "domain_uuid_key", "receptacle_1_tag", "route_string_key", "switch_uid_key",
        "vendor_name_key",
    ]  # fmt: skip
    assert bus["receptacle_1_tag"] == {
        "current_speed_key": "Up to 120 Gb/s",
        "link_status_key": "0x100",
        "receptacle_id_key": "2",
        "receptacle_status_key": "receptacle_no_devices_connected",
    }


def test_a_port_with_a_cable_names_the_peer_by_the_peers_own_domain(desk: Desk) -> None:
    bus = cabled(desk)
    peer = bus["_items"][0]

    assert bus["receptacle_1_tag"] == {
        "current_speed_key": "80 Gb/s",
        "link_status_key": "0x2",
        "micro_version_key": "0.0.0",
        "receptacle_id_key": "2",
        "receptacle_status_key": "receptacle_connected",
    }
    assert (peer["_name"], peer["device_name_key"]) == ("Mac Studio", "Mac15,14")
    assert peer["domain_uuid_key"] == desk.rack.machines["mac-2"].domain_uuid(3)
    assert next(iter(bus)) == "_items"


def test_the_peers_rdma_shows_in_its_services_and_nowhere_else(desk: Desk) -> None:
    both = cabled(desk)["_items"][0]["services_title"]
    desk.change("mac-2", rdma=False)
    one = cabled(desk)["_items"][0]["services_title"]
    desk.change("mac-2", rdma=True)
    desk.change("mac-1", rdma=False)
    own_off = cabled(desk)["_items"][0]["services_title"]

    assert [service["protocol_id_key"] for service in both] == [1, 64087]
    assert [service["protocol_id_key"] for service in one] == [1]
    assert own_off == both
    assert both[1]["service_key_key"] == "\u02c7\u02c7\u02c7\u02c7\u02c7\u02c7AD"


def test_a_slow_cable_and_slow_hardware(desk: Desk) -> None:
    desk.recable(speed_gbps=40)
    slow = cabled(desk)["receptacle_1_tag"]["current_speed_key"]
    desk.recable(present=False)
    desk.change(thunderbolt=4)

    assert slow == "40 Gb/s"
    assert cabled(desk)["receptacle_1_tag"]["current_speed_key"] == "Up to 40 Gb/s"


def test_the_text_has_apples_layout_and_never_says_rdma_in_capitals(desk: Desk) -> None:
    printed = desk.run(PROFILER, "SPThunderboltDataType").stdout
    bus, peer = cabled(desk), cabled(desk)["_items"][0]
    address, rdma = peer["services_title"]
    expected = f"""\
    Thunderbolt/USB4 Bus 1:

      Vendor Name: Apple Inc.
      Device Name: Mac Studio
      UID: {bus["switch_uid_key"]}
      Route String: 0
      Domain UUID: {bus["domain_uuid_key"]}
      Port:
          Status: Device connected
          Link Status: 0x2
          Speed: 80 Gb/s
          Receptacle: 2
          Micro Firmware Version: 0.0.0

        Mac Studio:

          Vendor Name: Apple Inc.
          Device Name: Mac15,14
          Device ID: 0xA
          Vendor ID: 0x0A27
          Domain UUID: {peer["domain_uuid_key"]}
          Services:
            Internet Protocol:
              Protocol ID: 1
              Protocol Version: 1
              Protocol Revision: 1
              Service UUID: {address["service_uuid_key"]}
            Service: Unknown:
              Protocol ID: 64087
              Protocol Version: 1
              Protocol Revision: 0
              Service Key: rdma
              Service UUID: {rdma["service_uuid_key"]}
"""

    assert printed.startswith("Thunderbolt/USB4:\n\n    Thunderbolt/USB4 Bus 5:\n")
    assert expected in printed
    assert "RDMA" not in printed


def test_a_mac_behind_a_dock_is_nested_in_the_dock(desk: Desk) -> None:
    desk.recable(dock=True, speed_gbps=40)
    bus = cabled(desk)
    dock = bus["_items"][0]

    assert (dock["mode_key"], dock["receptacle_upstream_ambiguous_tag"]["current_speed_key"]) == ("usb_four", "40 Gb/s")
    assert not {"domain_uuid_key", "services_title"} & dock.keys()
    assert dock["_items"][0]["domain_uuid_key"] == desk.rack.machines["mac-2"].domain_uuid(3)
    assert bus["receptacle_1_tag"]["link_status_key"] == "0x4"
    assert "        TS4:\n\n" in desk.run(PROFILER, "SPThunderboltDataType").stdout
    assert "            Mac Studio:\n\n" in desk.run(PROFILER, "SPThunderboltDataType").stdout


def test_rdma_does_not_work_through_a_dock(desk: Desk) -> None:
    desk.recable(dock=True)

    assert "PORT_DOWN" in desk.run("/usr/bin/ibv_devinfo", "-d", "rdma_en3").stdout


def test_a_neighbour_without_power_is_no_neighbour(desk: Desk) -> None:
    desk.rack = replace(desk.rack, off=frozenset({"mac-2"}))

    assert "_items" not in cabled(desk)
    assert "PORT_DOWN" in desk.run("/usr/bin/ibv_devinfo", "-d", "rdma_en3").stdout
    assert "status: inactive" in desk.run("/sbin/ifconfig", "en3").stdout
