from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from serving.configuration import Cabled, LinksConfiguration
from serving.errors import LinksUnreadable
from serving.links.daemon import IFCONFIG, NETWORKSETUP, SYSTEM_PROFILER, Links, execute
from serving.links.report import CableEnd

CONFIGURATION = LinksConfiguration(
    machine="mac-1",
    cables=(
        Cabled(peer="mac-2", domain_uuid="D-1", address="10.213.0.1", peer_address="10.213.0.2"),
        Cabled(peer="mac-3", domain_uuid="D-2", address="10.213.0.5", peer_address="10.213.0.6"),
    ),
    report="/nowhere",
)
READ = [IFCONFIG, "-a"]


@dataclass
class Port:
    """An interface of the imagined Mac."""

    up: bool = True
    cabled: bool = True
    addresses: dict[str, str] = field(default_factory=dict)
    wakes_after: int = 0
    """Looks until a port that was just brought up shows carrier."""


class Mac:
    """Answers the three commands, keeps state, and fails on anything it was not told."""

    def __init__(self, members: Sequence[str] = (), **ports: Port) -> None:
        self.ports = ports
        self.members = list(members)
        self.ran: list[list[str]] = []
        self.profile = json.dumps(
            {
                "SPThunderboltDataType": [
                    {"domain_uuid_key": f"D-{n}", "receptacle_1_tag": {"receptacle_id_key": str(n)}} for n in (1, 2)
                ]
            }
        )

    def run(self, arguments: Sequence[str]) -> str:
        self.ran.append(list(arguments))
        match arguments:
            case [command, "-listallhardwareports"] if command == NETWORKSETUP:
                return "Hardware Port: Thunderbolt 1\nDevice: en2\n\nHardware Port: Thunderbolt 2\nDevice: en3\n"
            case [command, "SPThunderboltDataType", "-json"] if command == SYSTEM_PROFILER:
                return self.profile
            case [_, "-a"]:
                return "".join(self._shown(name, port) for name, port in self.ports.items()) + self._bridge()
            case [_, "bridge0", "deletem", name] if name in self.members:
                self.members.remove(name)
                self.ports[name].up = False
            case [_, name, "up"]:
                self.ports[name].up = True
            case [_, name, "inet", address, "netmask", "255.255.255.252", "alias"]:
                self.ports[name].addresses[address] = "0xfffffffc"
            case [_, name, "inet", address, "-alias"]:
                del self.ports[name].addresses[address]
            case _:
                raise LinksUnreadable(f"cannot run {' '.join(arguments)}: exit code 1, no.")
        return ""

    def changes(self) -> list[str]:
        return [" ".join(words[1:]) for words in self.ran if words[0] == IFCONFIG and words != READ]

    def _shown(self, name: str, port: Port) -> str:
        active = port.up and port.cabled and port.wakes_after == 0
        if port.up and port.wakes_after:
            port.wakes_after -= 1
        flags = "8863<UP,BROADCAST>" if port.up else "8822<BROADCAST>"
        inet = "".join(f"\tinet {address} netmask {mask}\n" for address, mask in port.addresses.items())
        return f"{name}: flags={flags} mtu 1500\n{inet}\tstatus: {'active' if active else 'inactive'}\n"

    def _bridge(self) -> str:
        members = "".join(f"\tmember: {name} flags=3<LEARNING,DISCOVER>\n" for name in self.members)
        return f"bridge0: flags=8863<UP> mtu 1500\n{members}\tstatus: inactive\n"


def links(mac: Mac) -> Links:
    return Links(CONFIGURATION, "b1", mac.run)


def test_after_a_boot_ports_leave_the_bridge_and_get_their_addresses():
    mac = Mac(["en2", "en3"], en2=Port(), en3=Port(), en0=Port(up=False))

    report = links(mac).converge()

    assert mac.changes() == [
        "bridge0 deletem en2",
        "en2 up",
        "bridge0 deletem en3",
        "en3 up",
        "en2 inet 10.213.0.1 netmask 255.255.255.252 alias",
        "en3 inet 10.213.0.5 netmask 255.255.255.252 alias",
    ]
    assert report.peers["mac-2"] == CableEnd(interface="en2", address="10.213.0.1", status="active")
    assert {end.status for end in report.peers.values()} == {"active"}


def test_a_port_that_comes_up_late_keeps_no_other_waiting_and_is_looked_at_often():
    mac = Mac(["en2", "en3"], en2=Port(wakes_after=5), en3=Port())
    daemon = links(mac)
    seen: list[tuple[str, str, float]] = []
    for _ in range(3):
        ends = daemon.converge().peers
        seen.append((ends["mac-2"].status, ends["mac-3"].status, daemon.pause_seconds))

    assert seen == [("inactive", "active", 0.5), ("inactive", "active", 0.5), ("active", "active", 5.0)]
    assert sum(words[0] == SYSTEM_PROFILER for words in mac.ran) == 1


def test_a_port_that_never_comes_up_is_looked_at_less_often_after_a_while():
    daemon = links(Mac(["en3"], en2=Port(), en3=Port(cabled=False)))
    for _ in range(30):
        daemon.converge()

    assert daemon.pause_seconds == 5.0


def test_a_second_look_changes_nothing_and_asks_only_ifconfig():
    mac = Mac(["en2", "en3"], en2=Port(), en3=Port())
    daemon = links(mac)
    first = daemon.converge()
    mac.ran.clear()

    assert daemon.converge() == first
    assert mac.ran == [READ, READ]


def test_a_port_without_carrier_gets_no_address_and_is_told():
    mac = Mac(en2=Port(), en3=Port(cabled=False))

    end = links(mac).converge().peers["mac-3"]

    assert end == CableEnd(interface="en3", address="10.213.0.5", status="inactive", problem="en3 has no carrier")
    assert mac.changes() == ["en2 inet 10.213.0.1 netmask 255.255.255.252 alias"]


def test_a_cable_put_in_later_gets_its_address():
    mac = Mac(en2=Port(), en3=Port(cabled=False))
    daemon = links(mac)
    daemon.converge()
    mac.ports["en3"].cabled = True

    assert daemon.converge().peers["mac-3"].status == "active"


def test_ports_are_looked_up_again_when_interfaces_change():
    mac = Mac(en2=Port(), en3=Port())
    daemon = links(mac)
    daemon.converge()
    mac.ran.clear()
    mac.ports["en9"] = Port()
    daemon.converge()

    assert [SYSTEM_PROFILER, "SPThunderboltDataType", "-json"] in mac.ran


def test_an_address_of_ours_that_is_no_longer_declared_goes_and_others_stay():
    mac = Mac(en2=Port(addresses={"10.213.0.9": "0xfffffffc", "169.254.1.1": "0xffff0000"}), en3=Port())
    links(mac).converge()

    assert list(mac.ports["en2"].addresses) == ["169.254.1.1", "10.213.0.1"]


def test_a_port_macos_does_not_list_is_missing():
    mac = Mac(en2=Port())

    end = links(mac).converge().peers["mac-3"]

    assert (end.interface, end.status) == (None, "missing")
    assert end.problem == "macOS lists no interface for the port with Thunderbolt domain D-2"


def test_output_that_cannot_be_read_is_told_for_every_cable():
    mac = Mac(en2=Port(), en3=Port())
    mac.profile = "none"

    ends = links(mac).converge().peers.values()

    assert {end.status for end in ends} == {"missing"}
    assert all("system_profiler gave 'none'" in end.problem for end in ends)


def test_a_command_that_fails_is_told_with_what_it_said():
    with pytest.raises(LinksUnreadable) as refusal:
        execute([IFCONFIG, "nonsense0"])

    assert str(refusal.value).startswith(f"cannot run {IFCONFIG} nonsense0: ")
