from typing import Any

from operations.facts.macos import Mac
from operations.facts.resources import Resources
from operations.returning import Line
from tests.operations.fleet_of_fakes import Fleet, Machine
from tests.operations.test_macos_update import OLD, runs


class Leaving(Machine):
    """Its connection breaks under some commands, and is made anew."""

    breaks: int = 0
    made: int = 0

    def connect(self) -> None:
        self.made += 1

    def run_shell_command(self, command: Any, *more: Any, **arguments: Any) -> Any:
        if self.breaks:
            self.breaks -= 1
            raise OSError("broken pipe")
        return super().run_shell_command(command, *more, **arguments)


def line(breaks: int = 0, failing: str | None = None) -> tuple[Line, Leaving]:
    fleet = Fleet({"mac-1": runs(OLD)}, failing, kind=Leaving)
    machine = fleet.machines["mac-1"]
    assert isinstance(machine, Leaving)
    machine.breaks, machine.made = breaks, 0
    (host,) = fleet.state.inventory
    return Line(host), machine


def test_a_machine_that_answers_is_asked_over_the_connection_at_hand():
    asking, machine = line()
    told = asking.ask({"mac": Mac}, timeout_seconds=5)

    assert told is not None
    assert (told["mac"]["build"], asking.silence, machine.made) == ("25D125", "", 0)


def test_after_a_broken_connection_another_one_is_made():
    asking, machine = line(breaks=2)
    told = [asking.ask({"mac": Mac}, timeout_seconds=5) for _ in range(3)]

    assert told[:2] == [None, None]
    assert told[2] is not None
    assert (asking.silence, machine.made) == ("", 2)


def test_a_command_that_fails_may_be_a_connection_that_broke():
    asking, machine = line(failing="softwareupdate")
    told = asking.tell("softwareupdate", timeout_seconds=5)
    again = asking.tell("true", timeout_seconds=5)

    assert told is None
    assert again is not None
    assert (asking.silence, machine.made) == ("", 1)


def test_a_fact_that_cannot_tell_says_why():
    asking, _ = line()
    told = asking.ask({"mac": Mac, "resources": Resources}, timeout_seconds=5)

    assert told is not None
    assert told["resources"].keys() == {"problem"}
