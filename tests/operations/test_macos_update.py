"""Another macOS on a Mac that answers what it was told: what is begun on it, and what is made of what it does then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyinfra.api import HiddenValue
from pyinfra.context import ctx_state

from operations import macos_update
from operations.detached import UNDER_WAY
from operations.ledger import ledger
from operations.returning import Clock
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import Fleet, Machine

OLD, NEW = ("26.3", "25D125"), ("26.4", "25E246")
LABEL = "macOS Tahoe 26.4-25E246"
INSTALL = f"/usr/sbin/softwareupdate --install '{LABEL}' --restart --user admin --stdinpass"
FETCH = f"/usr/sbin/softwareupdate --download '{LABEL}'"
ENDED = ["Downloaded: macOS Tahoe 26.4", "Restarting...", "-- ended with 0"]
SILENT = None
"""A question that no answer comes to."""


def runs(macos: tuple[str, str], boot: int = 1) -> dict[str, list[str]]:
    """What the fact of the Mac reads."""
    version, build = macos
    hardware = f"hw.model: Mac15,14\nhw.memsize: 1\nmachdep.cpu.brand_string: M\nkern.bootsessionuuid: {boot}\n"
    sections = {
        "macos": f"ProductName:\t\tmacOS\nProductVersion:\t\t{version}\nBuildVersion:\t\t{build}\n",
        "hardware": hardware,
        "kernel": capture("uname-26.3.txt"),
    }
    return {"macos": printed(**sections)}


@dataclass
class Course:
    """What a Mac answers, one after the other: to looks at it, and to who follows softwareupdate."""

    looks: list[dict[str, list[str]] | None]
    follows: list[list[str] | None] = field(default_factory=lambda: [None])
    begins: str = ""
    wrong: list[list[str]] = field(default_factory=lambda: [[]])
    seconds: float = 0

    @property
    def clock(self) -> Clock:
        """Time passes while somebody waits, and in no other way."""

        def pause(seconds: float) -> None:
            self.seconds += seconds

        return Clock(now=lambda: self.seconds, pause=pause)

    def unmended(self, _: Mapping[str, Any]) -> list[str]:
        """What is still wrong."""
        return self.wrong.pop(0) if len(self.wrong) > 1 else self.wrong[0]


class Updating(Machine):
    """The Mac; of each course the last answer is given for ever."""

    course: Course

    def run_shell_command(self, command: Any, *more: Any, **arguments: Any) -> Any:
        text = command if isinstance(command, str) else command.get_raw_value()
        if "'@@@ 0\n" in text[:50]:
            self.world = self._next(self.course.looks)
        elif "-- gone: " in text:
            return self._printed(self._next(self.course.follows))
        elif UNDER_WAY in text:
            super().run_shell_command(command, *more, **arguments)
            return self._printed([self.course.begins] if self.course.begins else [])
        return super().run_shell_command(command, *more, **arguments)

    def _next(self, answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            raise OSError("timed out")
        return answer


def wanted(course: Course, **changes: Any) -> dict[str, Any]:
    return {
        "build": "25E246",
        "version": "26.4",
        "label": LABEL,
        "directory": "/opt/example/macos",
        "user": "admin",
        "password": HiddenValue("correct horse"),
        "install_within_seconds": 7200,
        "restart_within_seconds": 3600,
        "mended_within_seconds": 600,
        "unmended": course.unmended,
        "clock": course.clock,
        **changes,
    }


def ran(operation: Any, course: Course, macos: tuple[str, str], arguments: dict[str, Any]) -> tuple[Fleet, bool]:
    fleet = Fleet({"mac-1": runs(macos)}, kind=Updating)
    machine = fleet.machines["mac-1"]
    assert isinstance(machine, Updating)
    machine.course = course
    fleet.prepare(operation, **arguments)
    return fleet, fleet.execute()


def updated(course: Course, macos: tuple[str, str] = OLD, **changes: Any) -> tuple[Fleet, bool]:
    return ran(macos_update.updated, course, macos, wanted(course, **changes))


def fetched(course: Course, macos: tuple[str, str] = OLD, **changes: Any) -> tuple[Fleet, bool]:
    names = ("build", "version", "label", "directory", "clock")
    given = {name: value for name, value in wanted(course, **changes).items() if name in names}
    return ran(macos_update.fetched, course, macos, given | {"within_seconds": 7200})


def said(fleet: Fleet) -> str:
    return "\n".join(fleet.said)


def test_a_mac_that_runs_it_is_left_alone():
    course = Course([])
    fleet, succeeded = updated(course, NEW)

    assert succeeded
    assert fleet.machines["mac-1"].done == []
    assert "noop: macOS 26.4 (25E246) runs" in said(fleet)


def test_it_is_installed_by_its_exact_label_and_the_password_goes_by_standard_input():
    course = Course([runs(OLD), runs(NEW, boot=2)], [ENDED])
    fleet, succeeded = updated(course)
    (command,), (given,) = fleet.machines["mac-1"].done, fleet.machines["mac-1"].given

    assert succeeded, said(fleet)
    assert command.endswith(f" /opt/example/macos/install-25E246.log {INSTALL}")
    assert given == "correct horse\n"
    assert "horse" not in command + said(fleet)


@pytest.mark.parametrize(
    ("looks", "follows"),
    [
        ([runs(OLD), SILENT, SILENT, runs(NEW, boot=2)], [ENDED]),
        ([runs(OLD), runs(OLD), SILENT, runs(NEW, boot=2)], [ENDED]),
        ([runs(OLD), SILENT, SILENT, runs(NEW, boot=2)], [None]),
        ([runs(OLD), runs(NEW, boot=2)], [["Downloading: 10.00%"]]),
        ([runs(OLD), SILENT, runs(NEW, boot=2)], [["Downloading: 10.00%", "-- ended with 1"]]),
        ([runs(OLD), runs(NEW, boot=2)], [["-- gone: it left no word of its end"]]),
        ([runs(OLD), runs(OLD), runs(OLD), SILENT, runs(NEW, boot=2)], [None, ["-- goes on"], None, ENDED]),
    ],
    ids=(
        "goes away after the end",
        "stays for a while after the end",
        "goes away while it works",
        "is cut short, and restarted",
        "ends badly, and restarts",
        "its keeper was ended",
        "the connection was lost twice before",
    ),
)
def test_a_restart_is_seen_by_its_boot_session_however_softwareupdate_ended(looks, follows):
    fleet, succeeded = updated(Course(looks, follows))

    assert succeeded, said(fleet)
    assert "macOS 26.4 (25E246) runs; its cables and RDMA are looked at" in said(fleet)


def test_cables_and_rdma_are_waited_for():
    course = Course([runs(OLD), runs(NEW, boot=2)], [ENDED], wrong=[["cable to m2: inactive"], ["RDMA: down"], []])
    fleet, succeeded = updated(course)

    assert succeeded, said(fleet)
    assert course.wrong == [[]]


REFUSALS = {
    "a password that is refused": (
        Course([runs(OLD)], [["Failed to authenticate", "-- ended with 0"]]),
        "cannot update @fake/mac-1 to macOS 26.4 (25E246): softwareupdate ended with 0 and said: Failed to "
        "authenticate, and the Mac has not restarted within 60 s; it runs macOS 26.3 (25D125) as before.",
        60,
    ),
    "an error that restarts nothing": (
        Course([runs(OLD)], [["Error downloading updates.", "-- ended with 1"]]),
        "ended with 1 and said: Error downloading updates., and the Mac has not restarted within 60 s",
        60,
    ),
    "an end without a restart": (
        Course([runs(OLD)], [ENDED]),
        "said: Downloaded: macOS Tahoe 26.4 / Restarting..., and the Mac has not restarted within 600 s",
        600,
    ),
    "a restart that never ends": (
        Course([runs(OLD), SILENT], [ENDED]),
        "cannot tell what became of @fake/mac-1: it went away to restart for macOS 26.4 (25E246), and has not answered "
        "for 3600 s (timed out). Look at its screen",
        3600,
    ),
    "an update that was undone": (
        Course([runs(OLD), runs(OLD, boot=2)], [ENDED]),
        "cannot update @fake/mac-1: it restarted and runs macOS 26.3 (25D125), needed macOS 26.4 (25E246). Read "
        "/var/log/install.log there",
        0,
    ),
    "another macOS than the one wanted": (
        Course([runs(OLD), runs(("26.4.1", "25E253"), boot=2)], [ENDED]),
        "it restarted and runs macOS 26.4.1 (25E253), needed macOS 26.4 (25E246)",
        0,
    ),
    "RDMA that does not come back": (
        Course([runs(OLD), runs(NEW, boot=2)], [ENDED], wrong=[["RDMA: rdma_ctl status says disabled"]]),
        "cannot go on with @fake/mac-1: it runs macOS 26.4 (25E246), but 600 s after its restart not all is as it was: "
        "RDMA: rdma_ctl status says disabled",
        600,
    ),
    "a Mac that goes away again after its restart": (
        Course([runs(OLD), runs(NEW, boot=2), SILENT], [ENDED]),
        "not all is as it was: no answer: timed out",
        600,
    ),
    "a Mac that does not answer at all": (
        Course([SILENT]),
        "cannot update @fake/mac-1: it does not answer (timed out)",
        0,
    ),
}


@pytest.mark.parametrize(("course", "message", "seconds"), REFUSALS.values(), ids=REFUSALS)
def test_what_did_not_come_to_it_is_told_with_what_was_seen(course, message, seconds):
    course = Course(list(course.looks), list(course.follows), wrong=course.wrong)
    fleet, succeeded = updated(course)

    assert not succeeded
    assert message in said(fleet)
    assert seconds <= course.seconds <= seconds + 4


def test_one_that_goes_on_for_too_long_is_not_ended():
    course = Course([runs(OLD)], [["Downloading: 10.00%", "-- goes on"]])
    fleet, succeeded = updated(course, install_within_seconds=0)

    assert not succeeded
    assert "it is not there after 0 s; softwareupdate goes on and said: Downloading: 10.00%" in said(fleet)
    assert len(fleet.machines["mac-1"].done) == 1


def test_a_failure_is_written_down_for_the_replica_and_the_rest_of_the_run_goes_on():
    course = Course([runs(OLD)], [["Failed to authenticate", "-- ended with 0"]])
    fleet, succeeded = updated(course, replica="a")

    assert succeeded
    with ctx_state.use(fleet.state):
        assert "Failed to authenticate" in ledger().failed["a"]


def test_one_that_is_under_way_is_waited_for_and_not_begun_again():
    course = Course([runs(OLD), runs(NEW, boot=2)], [ENDED])
    fleet, succeeded = updated(course, label=None, user=None, password=None)

    assert succeeded, said(fleet)
    assert fleet.machines["mac-1"].done == []


def test_one_that_somebody_began_a_moment_ago_is_told():
    fleet, succeeded = updated(Course([runs(OLD), runs(NEW, boot=2)], [ENDED], begins=UNDER_WAY))

    assert succeeded, said(fleet)
    assert "softwareupdate goes on: it is under way already" in said(fleet)


def test_without_a_volume_owner_nothing_is_begun():
    fleet = Fleet({"mac-1": runs(OLD)}, kind=Updating)

    with pytest.raises(Exception, match="no volume owner is known"):
        fleet.prepare(macos_update.updated, **wanted(Course([]), user=None))


def test_it_is_fetched_without_a_password_and_without_a_restart():
    fleet, succeeded = fetched(Course([runs(OLD)], [None, ["Downloaded: macOS Tahoe 26.4", "-- ended with 0"]]))
    (command,), (given,) = fleet.machines["mac-1"].done, fleet.machines["mac-1"].given

    assert succeeded, said(fleet)
    assert command.endswith(f" /opt/example/macos/fetch-25E246.log {FETCH}")
    assert given is None


@pytest.mark.parametrize(("macos", "label"), [(NEW, None), (OLD, None)])
def test_nothing_is_fetched_for_a_mac_that_runs_it_or_installs_it(macos, label):
    fleet, succeeded = fetched(Course([]), macos, label=label)

    assert succeeded
    assert fleet.machines["mac-1"].done == []
    assert "macOS 26.4 (25E246) runs, or is being installed" in said(fleet)


def test_a_download_is_believed_by_its_word_and_not_by_its_exit_code():
    fleet, succeeded = fetched(Course([runs(OLD)], [["Error downloading updates.", "-- ended with 0"]]))

    assert not succeeded
    assert "cannot fetch macOS 26.4 (25E246) on @fake/mac-1: softwareupdate ended with 0" in said(fleet)
