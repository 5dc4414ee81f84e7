"""Who holds a replica back, over restarts: two clocks that a test sets, and a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.conductor.draining import Drains, left
from serving.errors import CidermillError, DrainRefused

TODAY = 1_800_000_000.0


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Machine:
    """A machine with its disk and its clocks; every agent on it begins with what is on disk."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "drains.json"
        self.clock, self.time_of_day = Clock(100), Clock(TODAY)

    def drains(self) -> Drains:
        return Drains(self.path, self.clock, self.time_of_day)

    def restarts(self, seconds: float) -> Drains:
        self.clock, self.time_of_day = Clock(0), Clock(self.time_of_day.now + seconds)
        return self.drains()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_replica_that_nobody_holds_back_is_not_drained(machine: Machine):
    assert machine.drains().reason == ""


def test_a_drain_says_whose_it_is_and_until_when(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60)

    assert drains.reason == "drained by 'deploy' until 2027-01-15T08:01:00+00:00"


def test_a_drain_outlasts_a_restart_of_the_machine_and_its_end_stays_where_it_was(machine: Machine):
    machine.drains().order("deploy", 60)

    again = machine.restarts(50)
    assert "deploy" in again.reason
    machine.clock.now += 9
    assert again.run_out() == []
    machine.clock.now += 1
    assert (again.run_out(), again.reason) == (["deploy"], "")


def test_what_ran_out_while_the_machine_was_off_holds_nobody_back(machine: Machine):
    machine.drains().order("deploy", 60)
    again = machine.restarts(61)

    assert again.run_out() == ["deploy"]


def test_ordered_again_it_begins_anew(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60)
    machine.clock.now += 50
    machine.time_of_day.now += 50
    drains.order("deploy", 60)
    machine.clock.now += 50

    assert drains.run_out() == []
    assert "08:01:50" in drains.reason


def test_who_lifts_its_drain_does_not_lift_anothers(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60)
    drains.order("a-person", 600)
    drains.lift("deploy")

    assert "a-person" in drains.reason
    assert "deploy" not in machine.restarts(1).reason


def test_all_can_be_lifted_at_once(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60)
    drains.order("a-person", 600)
    drains.lift(None)

    assert (drains.reason, machine.restarts(1).reason) == ("", "")


@pytest.mark.parametrize(("today", "seconds"), [(TODAY - 86_400, 60), (TODAY + 20, 40), (TODAY + 86_400, -86_340)])
def test_a_time_of_day_that_was_set_back_makes_no_drain_longer_than_it_was_ordered(today: float, seconds: float):
    assert left(TODAY + 60, 60, today) == seconds


def test_what_cannot_be_written_down_is_not_done(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60)
    machine.path.with_name("drains.json.new").mkdir()

    with pytest.raises(DrainRefused, match=r"drains\.json: Is a directory\. Make room there"):
        drains.lift("deploy")
    assert "deploy" in drains.reason


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"deploy": 60}', b"\xff"])
def test_a_damaged_file_is_told_and_not_taken_for_nobody(machine: Machine, content: bytes):
    machine.path.write_bytes(content)

    with pytest.raises(CidermillError, match=r"is damaged\. Remove it"):
        machine.drains()


def test_one_that_is_drained_from_its_restart_works_until_then(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60, from_restart=True)

    assert (drains.reason, drains.owners) == ("", ())
    assert machine.restarts(1).owners == ("deploy",)


def test_a_drain_from_the_restart_on_is_kept_beside_what_others_order(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60, from_restart=True)
    drains.order("ben", 60)

    assert drains.owners == ("ben",)
    assert machine.restarts(1).owners == ("ben", "deploy")


def test_a_drain_in_force_stays_so_when_it_is_ordered_for_the_restart(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60)
    drains.order("deploy", 60, from_restart=True)

    assert drains.owners == ("deploy",)


def test_a_drain_from_the_restart_on_can_be_lifted(machine: Machine):
    drains = machine.drains()
    drains.order("deploy", 60, from_restart=True)
    drains.lift("deploy")

    assert machine.restarts(1).owners == ()
