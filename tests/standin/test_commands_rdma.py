"""rdma_ctl and the ibv commands, against captured output."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.standin.commands.desk import Desk
from tests.standin.commands.rdma import link_local
from tests.standin.mac import Reply

RDMA_CTL, DEVICES, DEVINFO = "/usr/bin/rdma_ctl", "/usr/bin/ibv_devices", "/usr/bin/ibv_devinfo"
HEADER = "    device          \t   node GUID\n    ------          \t----------------\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def state(desk: Desk, device: str = "rdma_en3") -> str:
    rows = desk.run(DEVINFO, "-d", device).stdout.splitlines()
    return next(row.split(":")[1].strip() for row in rows if row.startswith("\t\t\tstate:"))


def gids(desk: Desk) -> list[str]:
    rows = desk.run(DEVINFO, "-v", "-d", "rdma_en3").stdout.splitlines()
    return [row.strip() for row in rows if "GID[" in row]


def test_status_is_one_word(desk: Desk) -> None:
    on = desk.run(RDMA_CTL, "status")
    desk.change(rdma=False)

    assert on == Reply(stdout="enabled\n")
    assert desk.run(RDMA_CTL, "status") == Reply(stdout="disabled\n")


@pytest.mark.parametrize("uid", [0, 501])
def test_enabling_needs_recovery_even_as_root(desk: Desk, uid: int) -> None:
    assert desk.run(RDMA_CTL, "enable", uid=uid) == Reply(
        stderr="rdma_ctl: This tool needs to be executed from Recovery OS.\n", code=77
    )


def test_devices_are_listed_out_of_order_with_a_guid_that_counts_ports(desk: Desk) -> None:
    printed = desk.run(DEVICES).stdout
    rows = [row.split() for row in printed.removeprefix(HEADER).splitlines()]

    assert printed.startswith(HEADER)
    assert [name for name, _ in rows] == [f"rdma_en{number}" for number in (2, 3, 5, 4, 6, 7)]
    assert [guid[:2] for _, guid in rows] == ["80", "81", "83", "82", "84", "85"]
    assert len({guid[2:] for _, guid in rows}) == 1


@pytest.mark.parametrize("fault", [{"rdma": False}, {"thunderbolt": 4}])
def test_without_rdma_the_header_stands_alone_and_succeeds(desk: Desk, fault: dict[str, object]) -> None:
    desk.change(**fault)

    assert desk.run(DEVICES) == Reply(stdout=HEADER)
    assert desk.run(DEVINFO) == Reply(stderr="No IB devices found\n", code=255)


def test_thunderbolt_4_says_enabled_all_the_same(desk: Desk) -> None:
    desk.change(thunderbolt=4)

    assert desk.run(RDMA_CTL, "status").stdout == "enabled\n"


def test_a_device_has_the_captured_layout(desk: Desk) -> None:
    guids = dict(row.split() for row in desk.run(DEVICES).stdout.removeprefix(HEADER).splitlines())
    grouped = {name: ":".join(guid[at : at + 4] for at in range(0, 16, 4)) for name, guid in guids.items()}

    assert desk.run(DEVINFO, "-d", "rdma_en2").stdout == (
        "hca_id:\trdma_en2\n"
        "\ttransport:\t\t\tThunderbolt (100)\n"
        f"\tnode_guid:\t\t\t{grouped['rdma_en2']}\n"
        f"\tsys_image_guid:\t\t\t{grouped['rdma_en2']}\n"
        "\tvendor_id:\t\t\t0x0000\n"
        "\tvendor_part_id:\t\t\t0\n"
        "\thw_ver:\t\t\t\t0x0\n"
        "\tphys_port_cnt:\t\t\t1\n"
        "\t\tport:\t1\n"
        "\t\t\tstate:\t\t\tPORT_DOWN (1)\n"
        "\t\t\tmax_mtu:\t\t4096 (5)\n"
        "\t\t\tactive_mtu:\t\t4096 (5)\n"
        "\t\t\tsm_lid:\t\t\t1\n"
        "\t\t\tport_lid:\t\t1\n"
        "\t\t\tport_lmc:\t\t0x00\n"
        "\t\t\tlink_layer:\t\tThunderbolt\n"
        "\n"
    )


def test_a_port_is_active_only_with_a_cable_and_rdma_at_both_ends(desk: Desk) -> None:
    good = state(desk)
    uncabled = state(desk, "rdma_en2")
    desk.change("mac-2", rdma=False)
    peer_off = state(desk)
    desk.change("mac-2", rdma=True)
    desk.recable(present=False)

    assert (good, uncabled, peer_off, state(desk)) == ("PORT_ACTIVE (4)", *["PORT_DOWN (1)"] * 3)


def test_verbose_tells_the_limits(desk: Desk) -> None:
    printed = desk.run(DEVINFO, "-v").stdout

    for limit in ("max_pd:\t\t\t\t11", "max_qp:\t\t\t\t11", "max_mr_size:\t\t\t0xfa0000", "active_width:\t\t8X (4)"):
        assert printed.count(limit) == 6


def test_gids_follow_the_order_of_assignment_and_a_bridged_port_has_only_its_own(desk: Desk) -> None:
    own = f"GID[  0]:\t\t{link_local('36:10:0f:92:66:42')}"
    desk.network.add_address("en3", "10.77.1.1", 30)
    bridged = gids(desk)
    desk.sudo("/sbin/ifconfig", "bridge0", "deletem", "en3")
    desk.network.add_address("en3", "10.77.2.1", 30)

    assert bridged == [own]
    assert gids(desk) == [own, "GID[  1]:\t\t::ffff:10.77.1.1", "GID[  2]:\t\t::ffff:10.77.2.1"]


def test_the_first_gid_is_made_from_the_ports_address() -> None:
    assert link_local("36:4d:04:ea:4e:40") == "fe80::344d:4ff:feea:4e40"


def test_an_unknown_device_is_not_found(desk: Desk) -> None:
    assert desk.run(DEVINFO, "-d", "rdma_en99") == Reply(stderr="IB device 'rdma_en99' wasn't found\n", code=255)


@pytest.mark.parametrize("argv", [(RDMA_CTL,), (RDMA_CTL, "destroy"), (DEVICES, "-l"), (DEVINFO, "-i", "1")])
def test_what_is_not_known_is_refused_by_name(desk: Desk, argv: tuple[str, ...]) -> None:
    assert desk.run(*argv).code == 64
