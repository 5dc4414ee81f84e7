"""Unconfirmed releases go back by themselves; with files, over restarts of the daemon and of the Mac."""

from __future__ import annotations

from pathlib import Path

from serving.configuration import LinksConfiguration
from serving.links.keeping import StateDirectory
from tests.serving.links.imagined import RULES, WITHIN, Mac, PacketFilter, Port, Time, configuration, links


def everything(directory: Path) -> LinksConfiguration:
    return configuration(directory, filter_rules=RULES, wired_limit_mb=460800)


def untouched(mac: Mac) -> bool:
    return (mac.members, mac.wired, mac.filter.rules, mac.filter.enabled) == (["en2", "en3"], 0, "", False) and not any(
        mask for port in mac.ports.values() for _, mask in port.addresses
    )


def test_until_its_deadline_an_unconfirmed_release_is_told_with_it(tmp_path: Path):
    report = links(Mac(["en2"]), configuration(tmp_path)).converge()

    assert (report.state, report.deadline) == ("unconfirmed", "2027-01-15T08:01:00Z")


def test_everything_goes_back_at_the_deadline_and_stays_so(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN)
    report = daemon.converge()
    mac.ran.clear()
    time.passes(1000)
    daemon.converge()

    assert report.state == "reverted"
    assert untouched(mac)
    assert mac.changes() == []


def test_a_confirmed_release_goes_on(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    StateDirectory(tmp_path / "links").confirm("links-1")
    time.passes(10 * WITHIN)
    mac.restart()
    report = links(mac, everything(tmp_path), time).converge()

    assert (report.state, report.deadline, report.filter) == ("confirmed", None, "on")
    assert mac.members == []


def test_a_restart_of_the_daemon_moves_no_deadline(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    for _ in range(3):
        links(mac, everything(tmp_path), time).converge()
        time.passes(WITHIN / 3)
    report = links(mac, everything(tmp_path), time).converge()

    assert report.state == "reverted"
    assert untouched(mac)


def test_setting_the_clock_back_moves_no_deadline(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN)
    time.wall -= 10000

    assert daemon.converge().state == "reverted"


def test_setting_the_clock_ahead_shortens_nothing(tmp_path: Path):
    mac, time = Mac(["en2"]), Time()
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    time.wall += 10000

    assert daemon.converge().state == "unconfirmed"


def test_a_reboot_leaves_the_time_that_is_left(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    links(mac, everything(tmp_path), time).converge()
    time.passes(WITHIN - 20)
    mac.restart()
    time.monotonic = 5
    daemon = links(mac, everything(tmp_path), time)
    again = daemon.converge().state, mac.members
    time.passes(20)

    assert again == ("unconfirmed", [])
    assert daemon.converge().state == "reverted"
    assert untouched(mac)


def test_a_reboot_that_outlasts_the_deadline_changes_nothing_any_more(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    links(mac, everything(tmp_path), time).converge()
    time.passes(WITHIN)
    mac.restart()
    mac.ran.clear()

    assert links(mac, everything(tmp_path), time).converge().state == "reverted"
    assert mac.changes() == []


def test_a_release_that_changes_nothing_has_no_deadline(tmp_path: Path):
    mac, time = Mac(), Time()
    for name, address in (("en2", "10.213.0.1"), ("en3", "10.213.0.5")):
        mac.ports[name].addresses = [(address, "0xfffffffc")]
    daemon = links(mac, configuration(tmp_path), time)
    daemon.converge()
    time.passes(10 * WITHIN)
    report = daemon.converge()

    assert (report.state, report.deadline) == ("unconfirmed", None)
    assert mac.changes() == []


def test_what_is_mended_later_begins_the_time_of_a_release_that_had_changed_nothing(tmp_path: Path):
    mac, time = Mac(), Time()
    for name, address in (("en2", "10.213.0.1"), ("en3", "10.213.0.5")):
        mac.ports[name].addresses = [(address, "0xfffffffc")]
    daemon = links(mac, configuration(tmp_path), time)
    daemon.converge()
    time.passes(10 * WITHIN)
    mac.members.append("en2")

    assert daemon.converge().deadline is not None
    time.passes(WITHIN)
    assert daemon.converge().state == "reverted"
    assert mac.members == ["en2"]


def test_a_release_after_a_confirmed_one_goes_back_to_that_one(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    told = everything(tmp_path)
    links(mac, told, time).converge()
    StateDirectory(tmp_path / "links").confirm("links-1")
    other = told.model_copy(update={"filter_rules": "pass all\n", "wired_limit_mb": None, "cables": told.cables[:1]})
    second = links(mac, other, time, "links-2")
    second.converge()
    changed = mac.filter.rules, mac.wired, mac.ports["en3"].addresses
    time.passes(WITHIN)

    assert changed == ("PASS ALL\n", 0, [])
    assert second.converge().state == "reverted"
    assert (mac.filter.rules, mac.wired, mac.filter.enabled, mac.members) == (RULES.upper(), 460800, True, [])
    assert ("10.213.0.5", "0xfffffffc") in mac.ports["en3"].addresses


def test_a_release_after_an_unconfirmed_one_goes_back_to_before_both(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    links(mac, everything(tmp_path), time).converge()
    second = links(mac, everything(tmp_path), time, "links-2")
    second.converge()
    time.passes(WITHIN)

    assert second.converge().state == "reverted"
    assert untouched(mac)


def test_what_was_taken_back_is_tried_again_when_it_is_told_so(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN)
    daemon.converge()
    StateDirectory(tmp_path / "links").try_again()
    report = daemon.converge()

    assert (report.state, report.deadline, mac.members) == ("unconfirmed", "2027-01-15T08:02:00Z", [])


def test_another_release_is_not_kept_back_by_one_that_was_taken_back(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    links(mac, everything(tmp_path), time).converge()
    time.passes(WITHIN)
    links(mac, everything(tmp_path), time).converge()

    assert links(mac, everything(tmp_path), time, "links-2").converge().state == "unconfirmed"
    assert mac.members == []


def test_it_goes_on_trying_until_it_is_back(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN)
    mac.fails["-a"] = mac.fails["deletem"] = mac.run(["/no"])
    stuck = daemon.converge().state, daemon.pause_seconds > 0
    mac.fails.clear()
    time.passes(10)

    assert stuck == ("unconfirmed", True)
    assert daemon.converge().state == "reverted"
    assert untouched(mac)


def test_a_filter_that_was_on_before_is_on_afterwards(tmp_path: Path):
    mac, time = Mac(["en2", "en3"]), Time()
    mac.filter = PacketFilter(enabled=True)
    daemon = links(mac, everything(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN)
    for _ in range(2):
        report = daemon.converge()

    assert report.state == "reverted"
    assert (mac.filter.enabled, mac.filter.tokens, mac.filter.rules) == (True, [], "")


def test_a_port_that_was_down_or_had_addresses_gets_them_back(tmp_path: Path):
    mac, time = Mac(en2=Port(up=False, addresses=[("10.9.9.1", "0xfffffffc")]), en3=Port()), Time()
    daemon = links(mac, configuration(tmp_path), time)
    daemon.converge()
    time.passes(WITHIN)
    daemon.converge()

    assert [address for address, mask in mac.ports["en2"].addresses if mask] == ["10.9.9.1"]
    assert (mac.ports["en2"].up, mac.ports["en3"].up) == (False, True)


def test_a_bridge_that_macos_fills_after_the_first_look_is_filled_again(tmp_path: Path):
    mac, time = Mac([]), Time()
    daemon = links(mac, configuration(tmp_path), time)
    daemon.converge()
    mac.members = ["en2", "en3"]
    daemon.converge()
    time.passes(WITHIN)
    daemon.converge()

    assert mac.members == ["en2", "en3"]
