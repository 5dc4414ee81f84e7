from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Interface

import pytest

from serving.errors import LinksUnreadable
from serving.links import reading
from serving.links.observation import Interface, Port
from serving.links.reading import devices, interfaces, receptacles

BRIDGED = """\
bridge0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\toptions=63<RXCSUM,TXCSUM,TSO4,TSO6>
\tether 36:10:0f:92:66:40
\tConfiguration:
\t\tid 0:0:0:0:0:0 priority 0 hellotime 0 fwddelay 0
\tmember: en2 flags=3<LEARNING,DISCOVER>
\t        ifmaxaddr 0 port 10 priority 0 path cost 0
\tmember: en3 flags=3<LEARNING,DISCOVER>
\t        ifmaxaddr 0 port 11 priority 0 path cost 0
\tnd6 options=201<PERFORMNUD,DAD>
\tmedia: <unknown type>
\tstatus: inactive
"""
ADDRESSED = """\
en2: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\toptions=460<TSO4,TSO6,CHANNEL_IO>
\tether 36:4d:04:ea:4e:40
\tinet6 fe80::1021:1bac:fe1:b5e3%en2 prefixlen 64 secured scopeid 0xb\x20
\tinet 169.254.205.255 netmask 0xffff0000 broadcast 169.254.255.255
\tinet 10.213.0.1 netmask 0xfffffffc broadcast 10.213.0.3
\tnd6 options=201<PERFORMNUD,DAD>
\tmedia: autoselect <full-duplex>
\tstatus: active
"""
DOWN = """\
en3: flags=8822<BROADCAST,SMART,SIMPLEX,MULTICAST> mtu 1500
\tether 36:4d:04:ea:4e:44
\tmedia: autoselect <full-duplex>
\tstatus: inactive
"""
RUNNING_WITHOUT_CARRIER = """\
en4: flags=8963<UP,BROADCAST,SMART,RUNNING,PROMISC,SIMPLEX,MULTICAST> mtu 1500
\tmedia: autoselect <full-duplex>
\tstatus: inactive
"""
PORTS = """
Hardware Port: Ethernet
Device: en0
Ethernet Address: 02:00:00:00:00:10

Hardware Port: Thunderbolt Bridge
Device: bridge0
Ethernet Address: 02:00:00:00:00:12

Hardware Port: Thunderbolt 1
Device: en2
Ethernet Address: 02:00:00:00:00:12

Hardware Port: Thunderbolt 2
Device: en6
Ethernet Address: 02:00:00:00:00:13

VLAN Configurations
===================
"""


def bus(domain: str, receptacle: str, *items: dict[str, object]) -> dict[str, object]:
    """A Thunderbolt bus as system_profiler lists it."""
    tag = {"current_speed_key": "80 Gb/s", "receptacle_id_key": receptacle}
    return {
        "_items": list(items),
        "_name": "thunderboltusb4_bus_0",
        "domain_uuid_key": domain,
        "receptacle_1_tag": tag,
    }


def test_interfaces_are_told_apart():
    assert interfaces(BRIDGED + ADDRESSED + DOWN + RUNNING_WITHOUT_CARRIER) == {
        "bridge0": Interface(up=True, active=False, addresses=(), members=("en2", "en3")),
        "en2": Interface(
            up=True,
            active=True,
            addresses=(IPv4Interface("169.254.205.255/16"), IPv4Interface("10.213.0.1/30")),
            members=(),
        ),
        "en3": Interface(up=False, active=False, addresses=(), members=()),
        "en4": Interface(up=True, active=False, addresses=(), members=()),
    }


def test_the_bridge_is_no_port():
    assert devices(PORTS) == {"1": "en2", "2": "en6"}


def test_ports_are_known_by_their_domain():
    profile = {"SPThunderboltDataType": [bus("D-2", "2"), {"_name": "no domain"}, bus("D-1", "1")]}

    assert receptacles(json.dumps(profile)) == {"D-1": ("1", None), "D-2": ("2", None)}


def test_a_mac_directly_at_a_port_faces_it_and_one_behind_a_dock_does_not():
    mac, dock = {"domain_uuid_key": "P-1"}, {"mode_key": "usb_four", "_items": [{"domain_uuid_key": "P-2"}]}
    profile = json.dumps({"SPThunderboltDataType": [bus("D-2", "2", dock), bus("D-1", "1", mac), bus("D-9", "9")]})

    assert reading.ports(f"a line of its own\n{profile}\n", PORTS) == {
        "D-1": Port("1", "en2", "P-1"),
        "D-2": Port("2", "en6"),
    }


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (["inet6 fd00::1 prefixlen 64", "inet 10.213.0.1 netmask 0xfffffffc"], True),
        (["inet6 fe80::1%en2 prefixlen 64 scopeid 0xb", "inet 10.213.0.1 netmask 0xfffffffc"], False),
        (["inet 10.213.0.1 netmask 0xfffffffc", "inet6 fd00::1 prefixlen 64"], False),
        (["inet6 2001:db8::1 prefixlen 64"], True),
        ([], False),
    ],
)
def test_only_a_routable_ipv6_address_can_come_first(rows: list[str], first: bool):
    text = "".join(f"{row}\n" for row in ["en2: flags=8863<UP> mtu 1500", *(f"\t{row}" for row in rows)])

    assert interfaces(text)["en2"].ipv6_first is first


def test_the_default_route_is_told_by_its_interface():
    found = reading.default_route(0, "   route to: default\n  interface: en0\n      flags: <UP>\n", "")

    assert found == "en0"
    assert reading.default_route(1, "", "route: writing to routing socket: not in table\n") is None


def test_the_filter_is_told_by_its_status_and_its_main_rules():
    assert reading.filter_enabled("Status: Enabled for 0 days 00:00:09           Debug: Urgent\n")
    assert not reading.filter_enabled("Status: Disabled                              Debug: Urgent\n")
    assert reading.asks_anchors('scrub-anchor "com.apple/*" all fragment reassemble\nanchor "com.apple/*" all\n')
    assert not reading.asks_anchors('scrub-anchor "com.apple/*" all fragment reassemble\n')


def test_the_token_is_a_long_number_kept_as_text():
    assert (
        reading.token("No ALTQ support in kernel\npf enabled\nToken : 17012345678901234567\n") == "17012345678901234567"
    )
    assert reading.token("pf enabled\n") == ""


@pytest.mark.parametrize(
    "read",
    [
        lambda: interfaces("ifconfig: no\n"),
        lambda: interfaces("en2: flags=8863<UP> mtu 1500\n\tinet 999.1.1.1 netmask 0xfffffffc\n"),
        lambda: reading.default_route(0, "something else", ""),
        lambda: reading.default_route(70, "", "no answer"),
        lambda: reading.number("many"),
        lambda: reading.filter_enabled("pfctl: /dev/pf: Permission denied"),
    ],
)
def test_what_is_not_in_the_known_shape_is_no_answer(read: Callable[[], object]):
    with pytest.raises(LinksUnreadable):
        read()


@pytest.mark.parametrize(
    "profile", ["", "[]", "{}", '{"SPThunderboltDataType": [{"domain_uuid_key": "D", "receptacle_1_tag": {}}]}']
)
def test_unknown_output_is_no_answer(profile: str):
    with pytest.raises(LinksUnreadable):
        receptacles(profile)
