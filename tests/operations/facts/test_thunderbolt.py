import json

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from tests.operations.answers import capture, printed

INTERFACES = capture("networksetup-m3-ultra.txt")


def ports(profile: str):
    return ThunderboltPorts().process(printed(ports=profile, interfaces=INTERFACES))


def rdma(status="enabled\n", devices="ibv_devices-three.txt", state="ibv_devinfo-one-active.txt"):
    state = capture(state) if isinstance(state, str) else state
    return Rdma().process(printed(status=status, devices=capture(devices), ports=state))


def test_an_idle_port_has_no_peer():
    assert ports(capture("thunderbolt-no-cable.json")) == [
        {
            "receptacle": 1,
            "interface": "en2",
            "domain_uuid": "00000008-0000-4000-8000-000000000008",
            "speed": "Up to 120 Gb/s",
            "status": "receptacle_no_devices_connected",
            "peers": [],
        }
    ]


def test_ports_come_by_receptacle_whatever_order_they_are_printed_in():
    assert [port["receptacle"] for port in ports(capture("thunderbolt-peer-with-rdma.json"))] == [1, 2]


def test_a_mac_at_the_other_end_is_a_peer_that_shows_its_own_rdma():
    _, port = ports(capture("thunderbolt-peer-with-rdma.json"))

    assert port["speed"] == "80 Gb/s"
    assert port["peers"] == [
        {"domain_uuid": "00000003-0000-4000-8000-000000000003", "model": "Mac17,6", "rdma": True, "depth": 1}
    ]


def test_a_peer_with_rdma_off_offers_no_rdma_service():
    (port,) = ports(capture("thunderbolt-peer-without-rdma.json"))

    assert [peer["rdma"] for peer in port["peers"]] == [False]


def test_a_mac_behind_a_dock_is_one_level_deeper():
    (port,) = ports(capture("thunderbolt-peer-behind-dock.json"))

    assert [(peer["model"], peer["domain_uuid"], peer["depth"]) for peer in port["peers"]] == [
        ("TS5 Plus", None, 1),
        ("Mac16,9", "00000006-0000-4000-8000-000000000006", 2),
    ]


def test_a_dock_is_told_as_one_and_its_cable_as_connected():
    (port,) = ports(capture("thunderbolt-peer-behind-dock.json"))

    assert (port["status"], port["speed"]) == ("receptacle_connected", "40 Gb/s")


def test_peers_are_found_at_any_depth():
    profile = json.loads(capture("thunderbolt-peer-behind-dock.json"))
    (dock,) = profile["SPThunderboltDataType"][0]["_items"]
    dock["_items"] = [dict(dock), {"_name": "Disk", "mode_key": "thunderbolt_three"}]
    (port,) = ports(json.dumps(profile))

    assert [(peer["model"], peer["depth"]) for peer in port["peers"]] == [
        ("TS5 Plus", 1),
        ("TS5 Plus", 2),
        ("Mac16,9", 3),
        ("Disk", 2),
    ]


def test_another_language_changes_no_key():
    (port,) = ports(capture("thunderbolt-no-cable.json").replace("Up to 120 Gb/s", "Bis zu 120 Gbit/s"))

    assert (port["status"], port["speed"]) == ("receptacle_no_devices_connected", "Bis zu 120 Gbit/s")


def test_a_line_that_apples_tool_logs_beside_its_document_does_no_harm():
    profile = capture("thunderbolt-no-cable.json")

    assert len(ports(f"2026-09-23 system_profiler[812:99] {{noise}}\n{profile}\n2026-09-23 more\n")) == 1


def test_a_mac_without_thunderbolt_has_no_ports():
    assert ports('{\n  "SPThunderboltDataType" : [\n\n  ]\n}\n') == []


@pytest.mark.parametrize(
    "profile",
    [
        *(
            "",
            "nothing here",
            "{}",
            '{"SPThunderboltDataType": null}',
            '{"SPThunderboltDataType": [null]}',
            "[" * 50_000,
        ),
        '{"SPThunderboltDataType": [{"receptacle_1_tag": {"a": 1}}]}',
        capture("thunderbolt-no-cable.json").replace('"1"', "true"),
        capture("thunderbolt-no-cable.json").replace("receptacle_status_key", "other_key"),
        capture("thunderbolt-peer-with-rdma.json").replace('"00000003-0000-4000-8000-000000000003"', "3"),
        capture("thunderbolt-peer-with-rdma.json").replace("protocol_id_key", "protocol"),
    ],
)
def test_a_profile_of_another_shape_is_not_guessed(profile):
    with pytest.raises(FactProcessError, match="cannot tell what is in the Thunderbolt ports"):
        ports(profile)


def test_rdma_switched_on_with_one_live_cable():
    assert rdma() == {
        "status": "enabled",
        "devices": ["rdma_en2", "rdma_en3", "rdma_en5"],
        "ports": {"rdma_en2": "PORT_DOWN", "rdma_en3": "PORT_ACTIVE", "rdma_en5": "PORT_DOWN"},
        "problem": None,
    }


def test_rdma_switched_off_has_no_devices_and_that_is_no_problem_of_its_own():
    found = rdma("disabled\n", "ibv_devices-none.txt", (capture("ibv_devinfo-none.txt"), 255))

    assert found == {"status": "disabled", "devices": [], "ports": {}, "problem": None}


def test_before_26_2_rdma_is_absent():
    found = Rdma().process(printed(status=("", 127), devices=("", 127), ports=("", 127)))

    assert found == {"status": "absent", "devices": [], "ports": {}, "problem": None}


def test_a_wedged_driver_is_a_problem_not_a_hang():
    assert "did not answer within 10 s" in (rdma(state=("", 142))["problem"] or "")


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (("", 142), "ibv_devices did not answer within 10 s"),
        (("", 127), "ibv_devices ended with 127"),
        ("nothing of the kind\n", "ibv_devices ended with 0: nothing of the kind"),
    ],
)
def test_a_list_of_devices_that_cannot_be_read_is_a_problem(listing, words):
    found = Rdma().process(printed(status="enabled\n", devices=listing, ports=capture("ibv_devinfo-one-active.txt")))

    assert words in (found["problem"] or "")


def test_a_device_that_is_listed_but_not_described_is_a_problem():
    described = capture("ibv_devinfo-one-active.txt").partition("hca_id:\trdma_en5")[0]
    found = Rdma().process(printed(status="enabled\n", devices=capture("ibv_devices-three.txt"), ports=described))

    assert found["problem"] == "ibv_devinfo does not tell of rdma_en5"


def test_an_unknown_word_about_rdma_is_not_guessed():
    with pytest.raises(
        FactProcessError, match="cannot tell whether RDMA is enabled: rdma_ctl printed 'unknown option'"
    ):
        rdma("unknown option\n")
