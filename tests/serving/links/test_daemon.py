from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import LinksUnreadable
from serving.links.commands import IFCONFIG, SYSTEM_PROFILER, Answer, done, execute
from serving.links.keeping import StateDirectory
from serving.links.report import CableEnd
from tests.serving.links.imagined import READ, RULES, WITHIN, Mac, Port, Time, configuration, links

BOOTED = [
    "bridge0 deletem en2",
    "en2 inet 10.213.0.1 netmask 255.255.255.252 alias",
    "en2 up",
    "bridge0 deletem en3",
    "en3 inet 10.213.0.5 netmask 255.255.255.252 alias",
    "en3 up",
]


def test_after_a_boot_ports_leave_the_bridge_and_get_their_addresses(tmp_path: Path):
    mac = Mac(["en2", "en3"])

    report = links(mac, configuration(tmp_path)).converge()

    assert mac.changes() == BOOTED
    assert report.peers["mac-2"] == CableEnd(interface="en2", address="10.213.0.1", status="active", facing="P-1")
    assert {end.status for end in report.peers.values()} == {"active"}
    assert report.problems == ()


def test_a_port_that_comes_up_late_keeps_no_other_waiting_and_is_looked_at_often(tmp_path: Path):
    mac = Mac(["en2", "en3"], en2=Port(wakes_after=5), en3=Port())
    daemon = links(mac, configuration(tmp_path))
    seen: list[tuple[str, str, float, bool]] = []
    for _ in range(6):
        report = daemon.converge()
        ends = report.peers
        seen.append((ends["mac-2"].status, ends["mac-3"].status, daemon.pause_seconds, report.settled))

    assert seen[0] == ("inactive", "active", 0.5, False)
    assert seen[-1] == ("active", "active", 4.5, True)
    assert sum(words[0] == SYSTEM_PROFILER for words in mac.ran) == 1


def test_a_port_that_does_not_come_up_is_looked_at_every_second_until_it_does(tmp_path: Path):
    port = Port(cabled=False)
    daemon = links(Mac(["en3"], en2=Port(), en3=port), configuration(tmp_path))
    for _ in range(30):
        report = daemon.converge()
    while_down = daemon.pause_seconds
    port.cabled = True
    daemon.converge()

    assert report.settled
    assert (while_down, daemon.pause_seconds) == (1.0, 4.5)


def test_a_second_look_changes_nothing_and_asks_only_ifconfig(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    daemon = links(mac, configuration(tmp_path, filter_rules=RULES, wired_limit_mb=460800), time)
    first = daemon.converge()
    mac.ran.clear()
    time.passes(4.5)

    assert daemon.converge() == first
    assert mac.ran == [READ]


def test_a_port_without_carrier_has_its_address_and_is_told(tmp_path: Path):
    mac = Mac(en2=Port(), en3=Port(cabled=False))

    report = links(mac, configuration(tmp_path)).converge()

    assert report.peers["mac-3"].status == "inactive"
    assert report.problems == ("cable to mac-3: en3 has no carrier",)
    assert ("10.213.0.5", "0xfffffffc") in mac.ports["en3"].addresses


def test_a_cable_put_in_later_is_active_at_the_next_look(tmp_path: Path):
    mac = Mac(en2=Port(), en3=Port(cabled=False))
    daemon = links(mac, configuration(tmp_path))
    daemon.converge()
    mac.ports["en3"].cabled = True

    assert daemon.converge().peers["mac-3"].status == "active"


def test_a_cable_in_another_port_is_told_and_nothing_is_done_to_that_port(tmp_path: Path):
    mac = Mac(["en4"], en2=Port(), en3=Port(), en4=Port(cabled=False))
    daemon = links(mac, configuration(tmp_path))
    daemon.converge()
    mac.ran.clear()
    mac.ports["en3"].cabled, mac.ports["en4"].cabled = False, True
    mac.facing["D-3"] = mac.facing.pop("D-2")

    (problem,) = daemon.converge().problems

    assert problem == (
        "cable to mac-3: en3 has no carrier, and a Mac is at Thunderbolt 3 (en4), which is no declared cable's port. "
        "If the cable was moved, put it back, or run the deploy again"
    )
    assert mac.changes() == []


def test_who_faces_a_port_is_asked_once_more_because_macos_tells_it_late(tmp_path: Path):
    mac, time = Mac(), Time()
    daemon = links(mac, configuration(tmp_path), time)
    del mac.facing["D-2"]
    daemon.converge()
    mac.ports["en3"].cabled = False
    daemon.converge()
    mac.ports["en3"].cabled = True
    daemon.converge()
    mac.facing["D-2"] = "P-9"

    assert daemon.converge().peers["mac-3"].facing == "P-9"


@pytest.mark.parametrize(
    ("fault", "mended"),
    [
        (lambda mac: mac.members.append("en2"), BOOTED[0:1] + BOOTED[2:3]),
        (lambda mac: mac.ports["en2"].addresses.clear(), BOOTED[1:2]),
        (lambda mac: setattr(mac.ports["en2"], "up", False), BOOTED[2:3]),
    ],
    ids=["port back in the bridge", "address lost", "port down"],
)
def test_what_goes_wrong_with_a_port_is_mended_at_the_next_look(
    fault: Callable[[Mac], object], mended: list[str], tmp_path: Path
):
    mac, time = Mac(), Time()
    daemon = links(mac, configuration(tmp_path), time)
    daemon.converge()
    fault(mac)
    mac.ran.clear()
    time.passes(daemon.pause_seconds)

    assert daemon.pause_seconds < 5
    assert {end.status for end in daemon.converge().peers.values()} == {"active"}
    assert mac.changes() == mended


@pytest.mark.parametrize(
    ("fault", "mended"),
    [
        (lambda mac: setattr(mac.filter, "rules", ""), ["-a com.apple/cidermill -f -"]),
        (lambda mac: (setattr(mac.filter, "enabled", False), mac.filter.tokens.clear()), ["-E"]),
        (lambda mac: setattr(mac, "wired", 0), ["iogpu.wired_limit_mb=460800"]),
    ],
    ids=["rules flushed", "filter switched off", "limit lost"],
)
def test_what_goes_wrong_besides_is_mended_within_ten_seconds(
    fault: Callable[[Mac], object], mended: list[str], tmp_path: Path
):
    mac, time = Mac(), Time()
    daemon = links(mac, configuration(tmp_path, filter_rules=RULES, wired_limit_mb=460800), time)
    daemon.converge()
    fault(mac)
    mac.ran.clear()
    for _ in range(2):
        time.passes(daemon.pause_seconds)
        report = daemon.converge()

    assert time.monotonic <= 1010
    assert mac.changes() == mended
    assert (report.filter, report.wired_limit_mb) == ("on", 460800)


def test_an_address_of_ours_that_is_no_longer_declared_goes_and_others_stay(tmp_path: Path):
    mac = Mac(en2=Port(addresses=[("10.213.0.9", "0xfffffffc"), ("169.254.1.1", "0xffff0000")]), en3=Port())
    links(mac, configuration(tmp_path)).converge()

    assert [address for address, mask in mac.ports["en2"].addresses if mask] == ["169.254.1.1", "10.213.0.1"]


def test_a_port_macos_does_not_list_is_missing(tmp_path: Path):
    end = links(Mac(en2=Port()), configuration(tmp_path)).converge().peers["mac-3"]

    assert (end.interface, end.status) == (None, "missing")
    assert end.problem == "macOS lists no interface for the port with Thunderbolt domain D-2"


def test_output_that_cannot_be_read_is_told_for_every_cable_and_keeps_nothing_else_from_being_done(tmp_path: Path):
    mac = Mac()
    mac.fails["SPThunderboltDataType"] = Answer(0, "none")

    report = links(mac, configuration(tmp_path, filter_rules=RULES)).converge()

    assert {end.status for end in report.peers.values()} == {"missing"}
    assert all("system_profiler gave 'none'" in end.problem for end in report.peers.values())
    assert mac.changes() == ["-a com.apple/cidermill -f -", "-E"]


def test_a_change_that_fails_is_told_and_keeps_no_other_from_being_made(tmp_path: Path):
    mac = Mac(["en2", "en3"])
    mac.fails["deletem en2"] = Answer(1, "", "ifconfig: BRDGDEL en2: Operation not permitted")

    report = links(mac, configuration(tmp_path)).converge()

    assert "BRDGDEL en2: Operation not permitted" in report.peers["mac-2"].problem
    assert report.peers["mac-3"].status == "active"


def test_a_default_route_over_a_cable_is_told(tmp_path: Path):
    mac = Mac()
    mac.default_route = "en2"

    assert links(mac, configuration(tmp_path)).converge().problems == (
        "the default route leads over en2, the cable to mac-2. Remove the router from that port's network service",
    )


def test_ipv6_before_ipv4_is_told_and_a_link_local_one_is_not(tmp_path: Path):
    mac = Mac(en2=Port(addresses=[("fe80::2", ""), ("fd00::2", "")]), en3=Port(addresses=[("fe80::3", "")]))

    report = links(mac, configuration(tmp_path)).converge()

    assert [problem.partition(", and")[0] for problem in report.problems] == [
        "cable to mac-2: en2 got an IPv6 address before 10.213.0.1"
    ]


def test_rules_that_nobody_evaluates_are_not_on(tmp_path: Path):
    mac = Mac()
    mac.filter.evaluates = False

    report = links(mac, configuration(tmp_path, filter_rules=RULES)).converge()

    assert report.filter == "off"
    assert "our rules are not in force" in report.problems[0]


def test_a_filter_that_cannot_be_read_is_not_on(tmp_path: Path):
    mac = Mac()
    mac.fails["-s info"] = Answer(1, "", "pfctl: /dev/pf: Permission denied")

    report = links(mac, configuration(tmp_path, filter_rules=RULES)).converge()

    assert report.filter == "cannot tell"
    assert "Permission denied" in report.problems[0]
    assert mac.filter.rules == ""


def test_what_is_not_declared_is_neither_asked_nor_changed(tmp_path: Path):
    mac = Mac()
    links(mac, configuration(tmp_path, cables=())).converge()

    assert mac.changes() == []
    assert {words[0] for words in mac.ran} == {IFCONFIG, "/usr/sbin/networksetup", SYSTEM_PROFILER, "/sbin/route"}


def test_a_filter_that_is_no_longer_declared_is_taken_away_with_our_reference(tmp_path: Path):
    mac = Mac()
    mac.filter.enabled, mac.filter.tokens = True, ["somebody's"]
    links(mac, configuration(tmp_path, filter_rules=RULES)).converge()
    links(mac, configuration(tmp_path), release="links-2").converge()

    assert (mac.filter.rules, mac.filter.tokens, mac.filter.enabled) == ("", ["somebody's"], True)


def test_a_limit_that_is_no_longer_declared_is_given_back_once(tmp_path: Path):
    mac = Mac()
    mac.wired = 1000
    links(mac, configuration(tmp_path, wired_limit_mb=460800)).converge()
    daemon = links(mac, configuration(tmp_path), release="links-2")
    daemon.converge()
    given_back = mac.wired
    mac.wired = 2000
    links(mac, configuration(tmp_path), release="links-2").converge()

    assert (given_back, mac.wired) == (1000, 2000)


def test_a_cable_that_is_no_longer_declared_loses_its_address_and_its_port_stays_out_of_the_bridge(tmp_path: Path):
    mac = Mac(["en2", "en3"])
    told = configuration(tmp_path)
    links(mac, told).converge()
    links(mac, told.model_copy(update={"cables": told.cables[:1]}), release="links-2").converge()

    assert [address for address, mask in mac.ports["en3"].addresses if mask] == []
    assert mac.members == []


def test_only_one_reference_is_taken_however_often_the_daemon_starts(tmp_path: Path):
    mac = Mac()
    for _ in range(3):
        links(mac, configuration(tmp_path, filter_rules=RULES)).converge()

    assert len(mac.filter.tokens) == 1


def test_the_report_tells_what_was_done_and_when(tmp_path: Path):
    did = links(Mac(["en2"]), configuration(tmp_path)).converge().did

    assert [each.what for each in did][:1] == ["/sbin/ifconfig bridge0 deletem en2"]
    assert did[0].at == "2027-01-15T08:00:00Z"


def test_nothing_is_changed_that_could_not_be_taken_back_because_it_cannot_be_written_down(tmp_path: Path):
    mac = Mac(["en2"])
    (tmp_path / "links/before.json.new").mkdir(parents=True)

    report = links(mac, configuration(tmp_path)).converge()

    assert mac.changes() == []
    assert report.problems[-1].startswith(f"cannot write to {tmp_path / 'links'}: ")


def test_a_confirmed_release_needs_nothing_written_down(tmp_path: Path):
    mac = Mac(["en2"])
    daemon = links(mac, configuration(tmp_path))
    StateDirectory(tmp_path / "links").confirm("links-1")
    (tmp_path / "links/before.json.new").mkdir()

    assert daemon.converge().peers["mac-2"].status == "active"


def test_a_deadline_is_not_slept_through(tmp_path: Path):
    mac, time = Mac(["en2"]), Time()
    daemon = links(mac, configuration(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN - 1)
    daemon.converge()

    assert daemon.pause_seconds == 1


def test_a_command_that_fails_is_told_with_what_it_said():
    with pytest.raises(LinksUnreadable) as refusal:
        done(execute, [IFCONFIG, "nonsense0"])

    assert str(refusal.value).startswith(f"cannot run {IFCONFIG} nonsense0: ")
