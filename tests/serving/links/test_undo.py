from __future__ import annotations

from pathlib import Path

import pytest

from serving.links.commands import Answer
from serving.links.keeping import StateDirectory
from serving.links.observation import Clock
from serving.links.undo import NotUndone, main, undo
from tests.serving.links.imagined import RULES, Mac, PacketFilter, Port, Time, configuration, links


def undone(mac: Mac, directory: Path) -> list[str]:
    told = configuration(directory, filter_rules=RULES, wired_limit_mb=1000)
    return undo(told, Clock(f"b{mac.boot}", 1.0, 1.0), mac.run)


def served(mac: Mac, directory: Path) -> None:
    """A confirmed release, and another one after it, as over months."""
    told = configuration(directory, filter_rules=RULES, wired_limit_mb=1000)
    links(mac, told, Time()).converge()
    StateDirectory(directory / "links").confirm("links-1")
    links(mac, told.model_copy(update={"filter_rules": "pass all\n"}), Time(), "links-2").converge()
    StateDirectory(directory / "links").confirm("links-2")
    Path(told.report).write_text("a report")


def test_everything_goes_back_to_before_the_first_release(tmp_path: Path):
    mac = Mac(["en2", "en3"])
    mac.wired = 700
    served(mac, tmp_path)
    did = undone(mac, tmp_path)

    assert sorted(mac.members) == ["en2", "en3"]
    assert (mac.wired, mac.filter.rules, mac.filter.enabled, mac.filter.tokens) == (700, "", False, [])
    assert not [address for port in mac.ports.values() for address, mask in port.addresses if mask]
    assert "/sbin/ifconfig bridge0 addm en2" in did
    assert not (tmp_path / "report.json").exists()


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path):
    mac = Mac(["en2", "en3"])
    served(mac, tmp_path)
    undone(mac, tmp_path)
    mac.ran.clear()

    assert undone(mac, tmp_path) == []
    assert mac.changes() == []


def test_nothing_is_left_in_the_state_directory_but_locks(tmp_path: Path):
    mac = Mac(["en2"])
    served(mac, tmp_path)
    undone(mac, tmp_path)

    assert {path.name for path in (tmp_path / "links").iterdir()} <= {"lock", "running"}


def test_the_references_of_others_stay(tmp_path: Path):
    mac = Mac(["en2"])
    mac.filter = PacketFilter(enabled=True, tokens=["somebody's"])
    served(mac, tmp_path)
    undone(mac, tmp_path)

    assert (mac.filter.tokens, mac.filter.enabled) == (["somebody's"], True)


def test_a_filter_that_somebody_switched_off_since_is_no_obstacle(tmp_path: Path):
    mac = Mac(["en2"])
    served(mac, tmp_path)
    mac.filter.enabled, mac.filter.tokens = False, []

    assert undone(mac, tmp_path)
    assert not mac.filter.enabled


def test_after_a_reboot_macos_has_done_it(tmp_path: Path):
    mac = Mac(["en2"])
    served(mac, tmp_path)
    mac.restart()

    assert undone(mac, tmp_path) == []


def test_without_a_record_our_own_address_still_goes_and_others_stay(tmp_path: Path):
    mac = Mac(en2=Port(addresses=[("10.213.0.1", "0xfffffffc"), ("10.9.9.1", "0xfffffffc")]))

    assert undone(mac, tmp_path) == ["/sbin/ifconfig en2 inet 10.213.0.1 -alias"]


def test_what_cannot_be_put_back_is_told_and_remembered(tmp_path: Path):
    mac = Mac(["en2"])
    served(mac, tmp_path)
    mac.fails["addm"] = Answer(1, "", "ifconfig: BRDGADD en2: Device not configured")
    with pytest.raises(NotUndone) as refusal:
        undone(mac, tmp_path)
    mac.fails.clear()

    assert "BRDGADD en2: Device not configured" in str(refusal.value)
    assert undone(mac, tmp_path) == ["/sbin/ifconfig bridge0 addm en2", "/sbin/ifconfig en2 up"]


def test_what_cannot_be_read_is_not_undone(tmp_path: Path):
    mac = Mac(["en2"])
    served(mac, tmp_path)
    mac.fails["-a"] = Answer(1, "", "ifconfig: no")

    with pytest.raises(NotUndone, match="ifconfig: no"):
        undone(mac, tmp_path)


def test_it_is_refused_while_the_daemon_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    told = configuration(tmp_path, report=str(tmp_path / "report.json"))
    file = tmp_path / "links.json"
    file.write_text(told.model_dump_json())
    StateDirectory(tmp_path / "links").run_alone()
    waited: list[float] = []

    assert main([str(file)], pause=waited.append, ending_seconds=0) == 1
    assert "Unload it first" in capsys.readouterr().err
