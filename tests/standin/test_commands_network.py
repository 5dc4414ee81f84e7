"""networksetup, ifconfig, route and ipconfig, against captured output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.standin.commands.desk import Desk
from tests.standin.mac import Reply

NETWORKSETUP, IFCONFIG = "/usr/sbin/networksetup", "/sbin/ifconfig"
ROUTE, IPCONFIG = "/sbin/route", "/usr/sbin/ipconfig"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def members(desk: Desk) -> list[str]:
    return re.findall(r"member: (\w+) ", desk.run(IFCONFIG, "bridge0").stdout)


def status(desk: Desk, interface: str) -> str:
    return re.findall(r"\tstatus: (\w+)\n", desk.run(IFCONFIG, interface).stdout)[0]


def test_hardware_ports_map_receptacles_to_devices(desk: Desk) -> None:
    printed = desk.run(NETWORKSETUP, "-listallhardwareports").stdout
    ports = dict(re.findall(r"Hardware Port: (.+)\nDevice: (.+)\n", printed))

    assert printed.startswith("\nHardware Port: Ethernet\nDevice: en0\nEthernet Address: 02:00:00:00:00:10\n\n")
    assert printed.endswith("\n\nVLAN Configurations\n===================\n")
    assert {name: device for name, device in ports.items() if re.match("Thunderbolt [0-9]", name)} == {
        f"Thunderbolt {number}": f"en{number + 1}" for number in range(1, 7)
    }
    assert ports["Thunderbolt Bridge"] == "bridge0"
    assert ports["Ethernet Adapter (en8)"] == "en8"
    assert "Device: bridge0\nEthernet Address: 36:10:0f:92:66:41\n" in printed


def test_services_mark_what_is_switched_off(desk: Desk) -> None:
    switched = desk.sudo(NETWORKSETUP, "-setnetworkserviceenabled", "Thunderbolt Bridge", "off")

    assert switched == Reply()
    assert desk.run(NETWORKSETUP, "-listallnetworkservices").stdout == (
        "An asterisk (*) denotes that a network service is disabled.\nEthernet\n*Thunderbolt Bridge\nWi-Fi\n"
    )
    assert desk.run(NETWORKSETUP, "-listnetworkserviceorder").stdout == (
        "An asterisk (*) denotes that a network service is disabled.\n"
        "(1) Ethernet\n(Hardware Port: Ethernet, Device: en0)\n\n"
        "(*) Thunderbolt Bridge\n(Hardware Port: Thunderbolt Bridge, Device: bridge0)\n\n"
        "(2) Wi-Fi\n(Hardware Port: Wi-Fi, Device: en1)\n\n"
    )
    assert desk.run(NETWORKSETUP, "-getnetworkserviceenabled", "Thunderbolt Bridge").stdout == "Disabled\n"


def test_switching_the_bridge_service_off_releases_no_port(desk: Desk) -> None:
    desk.sudo(NETWORKSETUP, "-setnetworkserviceenabled", "Thunderbolt Bridge", "off")

    assert members(desk) == [f"en{number}" for number in range(2, 8)]


def test_a_manual_ethernet_has_no_router(desk: Desk) -> None:
    assert desk.run(NETWORKSETUP, "-getinfo", "Ethernet").stdout == (
        "Manual Configuration\n"
        "IP address: 10.77.0.11\n"
        "Subnet mask: 255.255.255.0\n"
        "Router: (null)\n"
        "IPv6: Automatic\n"
        "IPv6 IP address: none\n"
        "IPv6 Router: none\n"
        "Ethernet Address: 02:00:00:00:00:10\n"
    )


def test_small_reads(desk: Desk) -> None:
    assert desk.run(NETWORKSETUP, "-listlocations").stdout == "Automatic\n"
    assert desk.run(NETWORKSETUP, "-getcurrentlocation").stdout == "Automatic\n"
    assert desk.run(NETWORKSETUP, "-getairportpower", "en1").stdout == "Wi-Fi Power (en1): On\n"


def test_an_unknown_service_is_4(desk: Desk) -> None:
    assert desk.run(NETWORKSETUP, "-getinfo", "Token Ring") == Reply(
        stdout="Token Ring is not a recognized network service.\n** Error: The parameters were not valid.\n", code=4
    )


def test_a_service_cannot_be_created_even_by_root(desk: Desk) -> None:
    create = (NETWORKSETUP, "-createnetworkservice", "TB 1", "Thunderbolt 1")

    assert "Unable to access the System Configuration database" in desk.sudo(*create).stdout
    assert desk.sudo(*create).code != 0
    assert desk.run(*create) == Reply(stdout="** Error: Command requires admin privileges.\n", code=14)


@pytest.mark.parametrize("verb", ["-listnetworkservices", "-switchtolocation", "-setmanual", "-setdhcp"])
def test_a_verb_that_would_cut_the_mac_off_is_refused_by_name(desk: Desk, verb: str) -> None:
    reply = desk.sudo(NETWORKSETUP, verb, "Ethernet")

    assert reply.code == 64
    assert verb in reply.stderr


def test_a_bridged_port_without_a_cable_is_the_capture(desk: Desk) -> None:
    assert desk.run(IFCONFIG, "en2").stdout == (
        "en2: flags=8963<UP,BROADCAST,SMART,RUNNING,PROMISC,SIMPLEX,MULTICAST> mtu 1500\n"
        "\toptions=460<TSO4,TSO6,CHANNEL_IO>\n"
        "\tether 36:10:0f:92:66:41\n"
        "\tmedia: autoselect <full-duplex>\n"
        "\tstatus: inactive\n"
    )


def test_bridge0_is_the_capture(desk: Desk) -> None:
    desk.recable(present=False)
    for number in range(4, 8):
        desk.sudo(IFCONFIG, "bridge0", "deletem", f"en{number}")

    assert desk.run(IFCONFIG, "bridge0").stdout == (
        "bridge0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n"
        "\toptions=63<RXCSUM,TXCSUM,TSO4,TSO6>\n"
        "\tether 36:10:0f:92:66:41\n"
        "\tConfiguration:\n"
        "\t\tid 0:0:0:0:0:0 priority 0 hellotime 0 fwddelay 0\n"
        "\t\tmaxage 0 holdcnt 0 proto stp maxaddr 100 timeout 1200\n"
        "\t\troot id 0:0:0:0:0:0 priority 0 ifcost 0 port 0\n"
        "\t\tipfilter disabled flags 0x0\n"
        "\tmember: en2 flags=3<LEARNING,DISCOVER>\n"
        "\t        ifmaxaddr 0 port 10 priority 0 path cost 0\n"
        "\tmember: en3 flags=3<LEARNING,DISCOVER>\n"
        "\t        ifmaxaddr 0 port 11 priority 0 path cost 0\n"
        "\tnd6 options=201<PERFORMNUD,DAD>\n"
        "\tmedia: <unknown type>\n"
        "\tstatus: inactive\n"
    )


def test_a_released_port_is_down_until_it_is_brought_up(desk: Desk) -> None:
    bridged = status(desk, "en3")
    released = desk.sudo(IFCONFIG, "bridge0", "deletem", "en3")
    down = desk.run(IFCONFIG, "en3").stdout
    desk.sudo(IFCONFIG, "en3", "up")
    desk.sudo(IFCONFIG, "en3", "inet", "10.77.1.1", "netmask", "255.255.255.252", "alias")

    assert (bridged, released) == ("active", Reply())
    assert down.startswith("en3: flags=8822<BROADCAST,SMART,SIMPLEX,MULTICAST> mtu 1500\n")
    assert down.endswith("\tstatus: inactive\n")
    assert desk.run(IFCONFIG, "en3").stdout == (
        "en3: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n"
        "\toptions=460<TSO4,TSO6,CHANNEL_IO>\n"
        "\tether 36:10:0f:92:66:42\n"
        "\tinet 10.77.1.1 netmask 0xfffffffc broadcast 10.77.1.3\n"
        "\tnd6 options=201<PERFORMNUD,DAD>\n"
        "\tmedia: autoselect <full-duplex>\n"
        "\tstatus: active\n"
    )


def test_every_boot_puts_all_ports_back_into_the_bridge(desk: Desk) -> None:
    desk.sudo(IFCONFIG, "bridge0", "deletem", "en3")
    desk.sudo(IFCONFIG, "bridge0", "deletem", "en4", "deletem", "en5")
    before = members(desk)
    desk.reboot()

    assert before == ["en2", "en6", "en7"]
    assert members(desk) == [f"en{number}" for number in range(2, 8)]


def test_a_port_can_be_put_back_and_goes_down_with_it(desk: Desk) -> None:
    desk.sudo(IFCONFIG, "bridge0", "deletem", "en3")
    desk.sudo(IFCONFIG, "en3", "up")
    back = desk.sudo(IFCONFIG, "bridge0", "addm", "en3")

    assert back == Reply()
    assert members(desk)[-1] == "en3"
    assert not desk.network.is_up("en3")


def test_addresses_are_added_once_replaced_without_alias_and_removed(desk: Desk) -> None:
    desk.sudo(IFCONFIG, "bridge0", "deletem", "en3")
    for address in ("10.77.1.1", "10.77.1.1", "10.77.2.1"):
        desk.sudo(IFCONFIG, "en3", "inet", address, "netmask", "0xfffffffc", "alias")
    added = desk.network.addresses("en3")
    desk.sudo(IFCONFIG, "en3", "inet", "10.77.3.1/30")
    replaced = desk.network.addresses("en3")
    removed = desk.sudo(IFCONFIG, "en3", "inet", "10.77.3.1", "-alias")
    again = desk.sudo(IFCONFIG, "en3", "inet", "10.77.3.1", "-alias")

    assert added == [("10.77.1.1", 30), ("10.77.2.1", 30)]
    assert replaced == [("10.77.2.1", 30), ("10.77.3.1", 30)]
    assert removed == Reply()
    assert again == Reply(stderr="ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address\n", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bridge0", "deletem", "en9"], "ifconfig: BRDGDEL en9: No such file or directory\n"),
        (["bridge0", "addm", "en2"], "ifconfig: BRDGADD en2: File exists\n"),
        (["en99"], "ifconfig: interface en99 does not exist\n"),
    ],
)
def test_ifconfig_errors(desk: Desk, arguments: list[str], words: str) -> None:
    assert desk.sudo(IFCONFIG, *arguments) == Reply(stderr=words, code=1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["en3", "inet", "10.77.1.1", "netmask", "255.255.255.252", "alias"], "ioctl (SIOCAIFADDR): permission denied"),
        (["en3", "up"], "permission denied"),
        (["bridge0", "deletem", "en3"], "Operation not permitted"),
    ],
)
def test_changes_need_root(desk: Desk, arguments: list[str], named: str) -> None:
    reply = desk.run(IFCONFIG, *arguments)

    assert reply.code == 1
    assert named in reply.stderr
    assert len(members(desk)) == 6


def test_ifconfig_l_is_one_line(desk: Desk) -> None:
    assert desk.run(IFCONFIG, "-l").stdout == "lo0 en0 en1 en2 en3 en4 en5 en6 en7 en8 bridge0\n"
    assert desk.run(IFCONFIG).stdout.count("\tstatus: ") == 10


@pytest.mark.parametrize(
    "arguments",
    [["bridge0", "destroy"], ["en0", "down"], ["en3", "mtu", "9000"], ["en3", "inet", "10.0.0.1"],
     ["en3", "inet", "10.0.0.999/30"], ["bridge0", "deletem"]],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_name(desk: Desk, arguments: list[str]) -> None:
    assert desk.sudo(IFCONFIG, *arguments).code == 64


def test_routes_are_the_connected_ones(desk: Desk) -> None:
    desk.network.add_address("en3", "10.77.1.1", 30)
    bridged = desk.run(ROUTE, "-n", "get", "10.77.1.2")
    desk.sudo(IFCONFIG, "bridge0", "deletem", "en3")
    desk.sudo(IFCONFIG, "en3", "up")

    assert bridged == Reply(stderr="route: writing to routing socket: not in table\n", code=1)
    assert desk.run(ROUTE, "-n", "get", "10.77.1.2").stdout.startswith(
        "   route to: 10.77.1.2\ndestination: 10.77.1.2\n  interface: en3\n      flags: <UP,"
    )
    assert "  interface: lo0\n" in desk.run(ROUTE, "-n", "get", "10.77.1.1").stdout
    assert desk.run(ROUTE, "-n", "get", "default") == bridged


def test_ipconfig_tells_an_address_or_fails_in_silence(desk: Desk) -> None:
    assert desk.run(IPCONFIG, "getifaddr", "en0") == Reply(stdout="10.77.0.11\n")
    assert desk.run(IPCONFIG, "getifaddr", "en3") == Reply(code=1)
    assert desk.run(IPCONFIG, "set", "en3", "DHCP").code == 64


def test_an_ipv6_address_stands_where_it_was_assigned(desk: Desk) -> None:
    def rows() -> list[str]:
        return re.findall(r"\tinet6? (\S+) ", desk.run(IFCONFIG, "en3").stdout)

    def give(address: str) -> None:
        desk.sudo(IFCONFIG, "en3", "inet", f"{address}/30", "alias")

    desk.sudo(IFCONFIG, "bridge0", "deletem", "en3")
    give("10.9.0.1")
    refused = desk.run(IPCONFIG, "set", "en3", "AUTOMATIC-V6")
    desk.sudo(IPCONFIG, "set", "en3", "AUTOMATIC-V6")
    give("10.9.0.5")
    after = rows()
    gids = re.findall(r"GID\[ +(\d)\]:\t\t(\S+)", desk.run("/usr/bin/ibv_devinfo", "-v", "-d", "rdma_en3").stdout)
    desk.sudo(IPCONFIG, "set", "en3", "NONE-V6")

    assert refused.code == 1
    assert [after[0], after[2]] == ["10.9.0.1", "10.9.0.5"]
    assert after[1].startswith("fe80::")
    assert after[1].endswith("%en3")
    assert [gid for _, gid in gids[1:]] == ["::ffff:10.9.0.1", after[1].removesuffix("%en3"), "::ffff:10.9.0.5"]
    assert rows() == ["10.9.0.1", "10.9.0.5"]


def test_the_bridge_is_called_by_the_language_of_the_mac(desk: Desk) -> None:
    desk.change(language="de")

    assert (
        "Hardware Port: Thunderbolt-Bridge\nDevice: bridge0\n" in desk.run(NETWORKSETUP, "-listallhardwareports").stdout
    )
    assert "\nThunderbolt-Bridge\n" in desk.run(NETWORKSETUP, "-listallnetworkservices").stdout
    assert desk.run(NETWORKSETUP, "-getnetworkserviceenabled", "Thunderbolt Bridge").code == 4
    assert "Hardware Port: Thunderbolt 2\n" in desk.run(NETWORKSETUP, "-listallhardwareports").stdout
