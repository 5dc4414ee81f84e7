"""A whole roll over machines that keep state: what is done in which order, and what becomes of every fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from paramiko import SSHException

from tests.operations.turning import REPLICAS, Mac, World


def _order(world: World, machine: str) -> list[str]:
    """The steps on a machine, each once however many commands it took."""
    steps = [step for name, step in world.steps if name == machine]
    return [step for number, step in enumerate(steps) if number == 0 or steps[number - 1] != step]


def places(steps: list[tuple[str, str]], machines: tuple[str, ...]) -> list[int]:
    return [number for number, (name, _) in enumerate(steps) if name in machines]


def test_each_step_of_a_turn_comes_after_the_one_before_on_all_its_machines():
    world = World()

    assert world.roll()
    assert _order(world, "mac-1") == ["drain", "speed", "load", "wait", "speed", "readmit", "record"]
    assert _order(world, "mac-2") == ["load", "record"]
    assert world.serving() == {"a": "agent-new", "b": "agent-new"}


def test_the_next_replica_is_untouched_until_the_one_before_is_proven_and_serves_again():
    world = World()
    world.roll()

    assert max(places(world.steps, REPLICAS["a"])) < min(places(world.steps, REPLICAS["b"]))
    assert world.steps.index(("mac-1", "readmit")) < world.steps.index(("mac-1", "record"))


def test_what_is_proven_is_written_down_on_every_machine_with_what_to_go_back_to():
    world = World()
    world.roll()

    assert {mac.kept for mac in world.macs.values()} == {"new"}
    assert [mac.record["release"] for mac in world.macs.values() if mac.record] == ["agent-new"] * 3
    assert [[line["outcome"] for line in mac.history] for mac in world.macs.values()] == [["proven"]] * 3
    assert world.macs["mac-1"].record["speed"]["tokens_per_second"] == 48.0


def test_the_second_run_does_nothing_at_all():
    world = World()
    world.roll()

    assert world.roll(changes=False)
    assert world.steps == []


FAULTS: dict[str, tuple[dict[tuple[str, str], str | Exception], str]] = {
    "the drain is refused": ({("mac-1", "drain"): "no room"}, "cannot drain replica 'a': no room"),
    "launchd does not load it": ({("mac-2", "load"): "cannot load it"}, "mac-2: cannot load it"),
    "its ranks do not start": ({("mac-1", "wait"): "rank 1 did not start"}, "rank 1 did not start"),
    "the golden answer is wrong": ({("mac-1", "wait"): "asked 'Why?', seen 'No'"}, "seen 'No'"),
    "the weights are wrong": ({("mac-1", "wait"): "model.safetensors on mac-2 differs"}, "on mac-2 differs"),
    "the connection is lost while it loads": ({("mac-2", "load"): SSHException("gone")}, "was lost: SSHException gone"),
    "the connection is lost while it drains": ({("mac-1", "drain"): OSError("reset")}, "was lost: OSError reset"),
}


@pytest.mark.parametrize(("faults", "told"), FAULTS.values(), ids=FAULTS)
def test_whatever_fails_the_replica_goes_back_serves_again_and_the_rest_is_untouched(
    faults: dict[tuple[str, str], str | Exception], told: str
):
    world = World(faults=faults)

    assert not world.roll()
    assert world.serving() == {"a": "agent-old", "b": "agent-old"}
    assert places(world.steps, REPLICAS["b"]) == []
    assert told in world.story
    assert "replica 'a' went back by itself, is proven again, and serves with agent-old." in world.story
    assert "replica 'b' was left as it is" in world.story
    assert "Clients are served by a, b." in world.story


@pytest.mark.parametrize(("faults", "told"), FAULTS.values(), ids=FAULTS)
def test_the_run_after_a_mended_fault_brings_everybody_there(faults: dict[tuple[str, str], str | Exception], told: str):
    world = World(faults=faults)
    world.roll()
    world.faults.clear()

    assert told
    assert world.roll()
    assert world.serving() == {"a": "agent-new", "b": "agent-new"}


def test_one_that_is_slower_than_its_share_goes_back():
    world = World(speeds={"old": 50.0, "new": 30.0})

    assert not world.roll()
    assert world.serving() == {"a": "agent-old", "b": "agent-old"}
    assert "it generates 30.0 tokens per second, 60% of the 50.0 before; needed 80%" in world.story


def test_one_that_is_a_little_slower_stays():
    assert World(speeds={"old": 50.0, "new": 41.0}).roll()


def test_where_nobody_else_serves_nothing_is_waited_for_and_as_little_measured_as_will_do():
    world = World(holds=True)

    assert world.roll()
    assert _order(world, "mac-1") == ["drain", "load", "wait", "record"]
    assert world.serving() == {"a": "agent-new", "b": "agent-new"}
    assert [each for each in world.commands if "--wait-for-it" in each] == []
    assert "it answers until its agent ends" in world.story
    assert "that is at least the 80% of what it was that are needed" in world.story
    assert world.macs["mac-1"].record["speed"]["tokens_per_second"] == 50.0


def test_one_that_nobody_else_serves_for_is_measured_longer_before_it_is_called_slow():
    world = World(holds=True, speeds={"old": 50.0, "new": 30.0})
    world.roll()

    assert _order(world, "mac-1")[:4] == ["drain", "load", "wait", "speed"]


def test_one_that_nobody_else_serves_for_and_is_slower_goes_back_too():
    world = World(holds=True, speeds={"old": 50.0, "new": 30.0})

    assert not world.roll()
    assert world.serving() == {"a": "agent-old", "b": "agent-old"}


def test_a_failure_of_the_second_leaves_the_first_as_it_was_proven():
    world = World(faults={("mac-3", "wait"): "it failed"})

    assert not world.roll()
    assert world.serving() == {"a": "agent-new", "b": "agent-old"}
    assert "Clients are served by a, b." in world.story


def test_a_machine_that_cannot_go_back_is_named_and_who_still_serves():
    world = World(faults={("mac-1", "wait"): "it failed", ("mac-2", "restore"): SSHException("gone")})

    assert not world.roll()
    assert "replica 'a' could not go back: mac-2: the connection to it was lost" in world.story
    assert "Clients are served by b." in world.story


def test_a_first_deploy_that_fails_has_nothing_to_go_back_to_and_says_so():
    macs = {name: Mac(loaded="none", kept=None) for name in ("mac-1", "mac-2", "mac-3")}
    none = dict.fromkeys(REPLICAS)
    world = World(faults={("mac-1", "wait"): "rank 1 did not start"}, macs=macs, formed=none)

    assert not world.roll()
    assert "nothing was ever proven there, so there is nothing to go back to" in world.story
    assert "Clients are served by no replica." in world.story


def _drained(world: World) -> None:
    world.macs["mac-1"].drained = True


def _half_loaded(world: World) -> None:
    _drained(world)
    world.macs["mac-1"].loaded, world.formed["a"] = "new", None


def _loaded(world: World) -> None:
    _half_loaded(world)
    world.macs["mac-2"].loaded = "new"


def _proven_and_not_written_down(world: World) -> None:
    _loaded(world)
    world.formed["a"] = "agent-new"


CUT_OFF: dict[str, Callable[[World], None]] = {
    "after the drain": _drained,
    "between two machines": _half_loaded,
    "before it was proven": _loaded,
    "before it was written down": _proven_and_not_written_down,
}


@pytest.mark.parametrize("cut", CUT_OFF.values(), ids=CUT_OFF)
def test_a_deploy_that_was_killed_is_finished_by_the_next_one(cut: Callable[[World], None]):
    world = World()
    cut(world)

    assert world.roll()
    assert world.serving() == {"a": "agent-new", "b": "agent-new"}
    assert {mac.kept for mac in world.macs.values()} == {"new"}


@pytest.mark.parametrize("cut", [_drained, _half_loaded, _loaded])
def test_a_deploy_that_was_killed_is_reversed_when_what_it_began_cannot_be_proven(cut: Callable[[World], None]):
    world = World(faults={("mac-1", "wait"): "rank 1 did not start"})
    cut(world)

    assert not world.roll()
    assert world.serving() == {"a": "agent-old", "b": "agent-old"}


def test_one_that_was_left_drained_though_nothing_changes_serves_again():
    world = World()
    world.roll()
    world.macs["mac-1"].drained = True

    assert world.roll(changes=False)
    assert world.serving() == {"a": "agent-new", "b": "agent-new"}
    assert [step for _, step in world.steps if step in ("load", "wait")] == []


def test_an_agent_that_does_not_answer_has_nothing_to_drain_and_is_changed_all_the_same():
    world = World(silent={"mac-3"})
    world.roll()

    assert ("mac-3", "drain") not in world.steps
    assert ("mac-3", "load") in world.steps


def test_what_cannot_be_written_down_fails_the_deploy_though_the_replica_is_proven_and_serves():
    world = World(faults={("mac-1", "record"): "No space left on device"})

    assert not world.roll()
    assert world.serving() == {"a": "agent-new", "b": "agent-old"}
    assert places(world.steps, REPLICAS["b"]) == []
    assert "replica 'a' is ready, but mac-1: No space left on device" in world.story
