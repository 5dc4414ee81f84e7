from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.links.confirm import Answer, Confirming, Exit
from serving.links.keeping import StateDirectory
from serving.links.observation import Clock
from serving.links.report import CableReport
from tests.serving.links.imagined import WITHIN, Mac, Port, Time, configuration, links


class Control:
    """A Mac with its daemon, and the control machine's command; the daemon looks whenever the command waits."""

    def __init__(self, directory: Path, mac: Mac | None = None) -> None:
        self.told = configuration(directory)
        self.mac, self.time = mac or Mac(["en2", "en3"]), Time()
        self.files = StateDirectory(directory / "links")
        self.report = Path(self.told.report)
        self.load("links-1")

    def load(self, release: str) -> None:
        self.release = release
        self.daemon = links(self.mac, self.told, self.time, release)

    def look(self) -> CableReport:
        report = self.daemon.converge()
        self.report.write_text(report.model_dump_json())
        return report

    def command(self, release: str | None = None) -> Confirming:
        def clock() -> Clock:
            return Clock(f"b{self.mac.boot}", self.time.monotonic, self.time.wall)

        return Confirming(self.told, release or self.release, clock)

    def confirm(self, meanwhile: Callable[[], object] | None = None) -> tuple[Exit, Answer]:
        def waits(seconds: float) -> None:
            self.time.passes(seconds)
            (meanwhile or self.look)()

        return self.command().confirm(20, waits)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    control = Control(tmp_path)
    control.files.run_alone()
    return control


def test_a_release_that_has_settled_is_confirmed(control: Control):
    control.look()

    assert control.confirm() == (Exit.CONFIRMED, Answer("confirmed", "links-1"))
    control.time.passes(WITHIN)
    assert control.look().state == "confirmed"


def test_a_command_that_was_there_before_the_change_proves_nothing_and_the_next_one_does(control: Control):
    code, answer = control.confirm()

    assert (code, answer.state) == (Exit.AGAIN, "unconfirmed")
    assert control.confirm() == (Exit.CONFIRMED, Answer("confirmed", "links-1"))


def test_a_change_made_while_the_command_waits_is_no_proof_either(tmp_path: Path):
    control = Control(tmp_path, Mac(["en2", "en3"], en2=Port(wakes_after=4), en3=Port()))
    control.files.run_alone()
    control.look()

    def bridge_comes_back() -> None:
        if not control.mac.members and control.mac.ports["en2"].wakes_after == 1:
            control.mac.members.append("en3")
        control.look()

    assert control.confirm(meanwhile=bridge_comes_back)[0] == Exit.AGAIN


def test_waiting_for_carrier_is_no_change(tmp_path: Path):
    control = Control(tmp_path, Mac(["en2", "en3"], en2=Port(wakes_after=4), en3=Port()))
    control.files.run_alone()

    assert not control.look().settled
    assert control.confirm()[0] == Exit.CONFIRMED


def test_a_port_without_a_cable_is_waited_for_and_then_told(tmp_path: Path):
    control = Control(tmp_path, Mac(["en2"], en2=Port(), en3=Port(cabled=False)))
    control.files.run_alone()
    control.look()

    code, answer = control.confirm()

    assert code == Exit.CONFIRMED
    assert answer.problems == ("cable to mac-3: en3 has no carrier",)


def test_a_release_that_changed_nothing_is_confirmed_at_once(tmp_path: Path):
    addresses = {"en2": "10.213.0.1", "en3": "10.213.0.5"}
    mac = Mac(**{name: Port(addresses=[(address, "0xfffffffc")]) for name, address in addresses.items()})
    control = Control(tmp_path, mac)
    control.files.run_alone()

    assert control.confirm()[0] == Exit.CONFIRMED


def test_what_was_taken_back_is_tried_again_and_confirmed_the_time_after(control: Control):
    control.look()
    control.time.passes(WITHIN)
    control.look()

    assert control.command().check().state == "reverted"
    assert control.confirm()[0] == Exit.AGAIN
    assert control.confirm()[0] == Exit.CONFIRMED
    assert control.command().check().state == "confirmed"


def test_after_the_deadline_nothing_is_confirmed_even_if_the_daemon_has_not_looked_yet(control: Control):
    control.look()
    control.time.passes(WITHIN)

    assert control.confirm(meanwhile=lambda: None)[0] == Exit.NOT_CONFIRMED
    assert control.look().state == "reverted"


def test_another_release_is_not_confirmed_by_its_predecessors_report(control: Control):
    control.look()
    control.release = "links-2"

    assert control.confirm(meanwhile=lambda: None) == (Exit.NOT_CONFIRMED, Answer("silent"))


def test_a_report_of_an_earlier_boot_is_silence(control: Control):
    control.look()
    control.mac.restart()

    assert control.command().check() == Answer("silent")


def test_without_a_daemon_there_is_silence(tmp_path: Path):
    control = Control(tmp_path)
    control.look()

    assert control.command().check() == Answer("silent")


def test_a_check_changes_nothing(control: Control):
    control.look()
    control.time.passes(WITHIN)
    control.look()
    kept = Path(control.told.state_directory)
    before = {path: path.read_bytes() for path in kept.iterdir()}
    control.command().check()

    assert {path: path.read_bytes() for path in kept.iterdir()} == before


def test_the_answer_is_one_line_of_json():
    said = str(Answer("unconfirmed", "links-1", ("a", "b")))

    assert json.loads(said) == {"state": "unconfirmed", "release": "links-1", "problems": ["a", "b"]}
    assert "\n" not in said
