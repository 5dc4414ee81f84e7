import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.network import Network
from tests.operations.answers import capture, printed
from tests.operations.facts.good import NETWORK

IFCONFIG = capture("ifconfig-two-cables.txt")
CABLED = "en3: flags=8863<UP,BROADCAST,RUNNING> mtu 1500\n"


def network(interfaces=IFCONFIG, route: str | tuple[str, int] = NETWORK["route"]):
    return Network().process(printed(interfaces=interfaces, route=route))


def en3(*lines: str):
    return network(CABLED + "".join(f"\t{line}\n" for line in lines))["interfaces"]["en3"]


def test_interfaces_bridge_and_default_route_are_read():
    seen = network()

    assert list(seen["interfaces"]) == ["lo0", "gif0", "en0", "en2", "en3", "en4", "bridge0", "utun0"]
    assert seen["interfaces"]["en3"] == {
        "up": True,
        "active": True,
        "ipv4": ["10.213.0.1/30", "169.254.205.255/16"],
        "ipv6_first": False,
    }
    assert (seen["bridge"], seen["default_route"]) == (["en2"], "en0")


def test_running_is_no_sign_of_a_cable():
    interfaces = network()["interfaces"]

    assert {name: (interfaces[name]["up"], interfaces[name]["active"]) for name in ("en2", "en3", "en4", "lo0")} == {
        "en2": (True, False),
        "en3": (True, True),
        "en4": (False, False),
        "lo0": (True, False),
    }


def test_both_ends_of_a_point_to_point_link_are_no_trouble():
    assert network()["interfaces"]["utun0"]["ipv4"] == ["100.64.0.2/32"]


def test_a_bridge_is_none_when_there_is_none_and_empty_without_members():
    whole, _, _ = IFCONFIG.partition("bridge0:")
    members = [line for line in IFCONFIG.splitlines() if "member: " not in line]

    assert network(whole)["bridge"] is None
    assert network("\n".join(members))["bridge"] == []


@pytest.mark.parametrize(
    ("addresses", "first"),
    [
        (["inet6 fe80::1%en3 prefixlen 64 scopeid 0xb", "inet 10.0.0.1 netmask 0xffffff00"], False),
        (["inet6 fd00::1 prefixlen 64", "inet 10.0.0.1 netmask 0xffffff00"], True),
        (["inet 10.0.0.1 netmask 0xffffff00", "inet6 fd00::1 prefixlen 64"], False),
        (["inet6 fd00::1 prefixlen 64"], True),
        ([], False),
    ],
)
def test_a_routable_ipv6_address_before_the_first_ipv4_one_is_told(addresses, first):
    assert en3(*addresses)["ipv6_first"] == first


def test_no_default_route_is_none():
    assert network(route=("route: writing to routing socket: not in table\n", 1))["default_route"] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "nothing of the kind\n",
        "\tstatus: active\n",
        CABLED + CABLED,
        CABLED + "\tstatus: perhaps\n",
        CABLED + "\tinet 10.0.0.1 netmask 0xff00ff00 broadcast 10.0.0.255\n",
        CABLED + "\tinet 10.0.0.1 netmask 0x000000ff\n",
        CABLED + "\tinet 10.0.0.256 netmask 0xffffff00\n",
        CABLED + "\tinet ten netmask 0xffffff00\n",
        CABLED + "\tinet6 nonsense prefixlen 64\n",
        CABLED + "ifconfig: something went wrong\n",
    ],
)
def test_what_ifconfig_does_not_print_is_not_guessed(text):
    with pytest.raises(FactProcessError, match="cannot tell"):
        network(text)


@pytest.mark.parametrize("route", ["", "default\n", "interface: en0\ninterface: en1\n", ("route: bad address", 68)])
def test_a_route_of_another_shape_is_not_guessed(route):
    with pytest.raises(FactProcessError, match="cannot tell where the default route goes"):
        network(route=route)
