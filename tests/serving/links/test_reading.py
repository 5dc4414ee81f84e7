from __future__ import annotations

import json
from ipaddress import IPv4Interface

import pytest

from serving.errors import LinksUnreadable
from serving.links.reading import Interface, devices, interfaces, receptacles

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


def bus(domain: str, receptacle: str) -> dict[str, object]:
    """A Thunderbolt bus as system_profiler lists it."""
    tag = {"current_speed_key": "80 Gb/s", "receptacle_id_key": receptacle}
    return {"_name": "thunderboltusb4_bus_0", "domain_uuid_key": domain, "receptacle_1_tag": tag}


def test_interfaces_are_told_apart():
    assert interfaces(BRIDGED + ADDRESSED + DOWN + RUNNING_WITHOUT_CARRIER) == {
        "bridge0": Interface(up=True, active=False, addresses=frozenset(), members=("en2", "en3")),
        "en2": Interface(
            up=True,
            active=True,
            addresses=frozenset({IPv4Interface("169.254.205.255/16"), IPv4Interface("10.213.0.1/30")}),
            members=(),
        ),
        "en3": Interface(up=False, active=False, addresses=frozenset(), members=()),
        "en4": Interface(up=True, active=False, addresses=frozenset(), members=()),
    }


def test_the_bridge_is_no_port():
    assert devices(PORTS) == {"1": "en2", "2": "en6"}


def test_ports_are_known_by_their_domain():
    profile = {"SPThunderboltDataType": [bus("D-2", "2"), {"_name": "no domain"}, bus("D-1", "1")]}

    assert receptacles(json.dumps(profile)) == {"D-1": "1", "D-2": "2"}


@pytest.mark.parametrize(
    "profile", ["", "[]", "{}", '{"SPThunderboltDataType": [{"domain_uuid_key": "D", "receptacle_1_tag": {}}]}']
)
def test_unknown_output_is_no_answer(profile: str):
    with pytest.raises(LinksUnreadable):
        receptacles(profile)
