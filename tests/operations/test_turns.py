"""A whole roll over machines that keep state: what is done in which order, and what becomes of every fault."""

from __future__ import annotations

import hashlib
import json
import plistlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from paramiko import SSHException
from pyinfra.context import ctx_state

from operations import launchd, proof, reversal, rollout, service
from operations.ledger import ledger
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import Fleet, Machine

REPLICAS = {"a": ("mac-1", "mac-2"), "b": ("mac-3",)}
LABEL = "dev.example.agent"
FILES = proof.Files("/opt/example/serves.json", "/opt/example/history.jsonl", "/opt/example/kept.plist", LABEL)
LOADED = f"job {LABEL}\n{capture('launchctl-print-running.txt')}"
DISABLED = "disabled services = {\n}\n"
SPEEDS = {"old": 50.0, "new": 48.0}


def plist(release: str) -> dict[str, Any]:
    return {"Label": LABEL, "ProgramArguments": [f"/opt/example/releases/{release}/python"], "KeepAlive": True}


def replica_of(machine: str) -> str:
    return next(name for name, members in REPLICAS.items() if machine in members)


def record(machine: str, release: str) -> dict[str, Any]:
    replica = replica_of(machine)
    return {"replica": replica, "machines": list(REPLICAS[replica]), "release": release}


@dataclass
class Mac:
    """What is on one machine."""

    loaded: str = "old"
    kept: str | None = "old"
    record: dict[str, Any] | None = None
    drained: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class World:
    """The machines, the order of what was done, and what is to go wrong: by (machine, step) a reason, or an error."""

    faults: dict[tuple[str, str], str | Exception] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=lambda: dict(SPEEDS))
    macs: dict[str, Mac] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    holds: bool = False
    """Whether nobody else serves meanwhile, and answers under way go on after it."""
    formed: dict[str, str | None] = field(default_factory=dict)
    """By replica the release that its ranks were formed with last."""
    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name in ("mac-1", "mac-2", "mac-3"):
            self.macs.setdefault(name, Mac(record=record(name, "agent-old")))
        for replica in REPLICAS:
            self.formed.setdefault(replica, self.release_of(replica))

    def release_of(self, replica: str) -> str | None:
        """The release that all machines of a replica run; None when they do not agree."""
        loaded = {self.macs[name].loaded for name in REPLICAS[replica]}
        return f"agent-{loaded.pop()}" if len(loaded) == 1 else None

    def is_ready(self, replica: str) -> bool:
        """Whether its ranks are those of what its machines run."""
        return self.formed[replica] is not None and self.formed[replica] == self.release_of(replica)

    def facts(self, name: str) -> dict[str, list[str]]:
        mac, replica = self.macs[name], replica_of(name)
        digest = hashlib.sha256(plistlib.dumps(plist(mac.loaded), sort_keys=True)).hexdigest()
        plists = f"{digest}  /Library/LaunchDaemons/{LABEL}.plist\n"
        state: dict[str, Any] = {"release": f"agent-{mac.loaded}"}
        if name == REPLICAS[replica][0]:
            told = ("draining" if mac.drained else "ready") if self.is_ready(replica) else "forming"
            state["replica"] = {"name": replica, "state": told, "drained_by": ["deploy"] if mac.drained else []}
        said = ("nobody there", 1) if name in self.silent else f"{json.dumps(state)}\n"
        text = "" if mac.record is None else f"path {FILES.record}\n {json.dumps(mac.record)}\n"
        return {
            "user": printed(user="0", plists=plists, jobs=LOADED, disabled=DISABLED),
            "state": printed(state=said),
            "texts": printed(texts=text),
        }

    def behave(self, machine: Machine, text: str) -> tuple[bool, list[str]] | None:
        """What a command does; facts are told anew after it."""
        step = _step(text)
        self.commands.append(text)
        if step is not None and (not self.steps or self.steps[-1] != (machine.name, step)):
            self.steps.append((machine.name, step))
        fault = self.faults.get((machine.name, step or text))
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return False, [fault]
        told = self._done(self.macs[machine.name], machine, step, text)
        for name, each in self.fleet.machines.items():
            each.world = self.facts(name)
        return told

    def _done(self, mac: Mac, machine: Machine, step: str | None, text: str) -> tuple[bool, list[str]] | None:
        replica = replica_of(machine.name)
        if step in ("drain", "readmit"):
            mac.drained = step == "drain"
        elif step == "load" and "bootstrap" in text:
            mac.loaded, self.formed[replica] = "new", None
        elif step == "restore":
            if mac.kept is None:
                return True, ["nothing kept"]
            if mac.loaded == mac.kept:
                return True, ["as kept"]
            mac.loaded, self.formed[replica] = mac.kept, None
            return True, ["restored"]
        elif step in ("wait", "again"):
            needed = "agent-new" if step == "wait" else "agent-old"
            if self.release_of(replica) != needed:
                return False, [f"not ready: {[self.macs[each].loaded for each in REPLICAS[replica]]}"]
            self.formed[replica] = needed
        elif step == "speed":
            return True, [json.dumps({"tokens_per_second": self.speeds[mac.loaded], "of": "same"})]
        elif step == "record":
            given = json.loads(machine.given[-1] or "{}") if machine.given[-1] else None
            if text.startswith("set -e; umask 022; cat >>"):
                mac.history.append(given)
            elif text.startswith("set -e; umask 022; cat >"):
                mac.record = given
            elif " cp " in text:
                mac.kept = mac.loaded
        return None

    def roll(self, declared: str = "new", changes: bool = True) -> bool:
        """A whole deploy: whether the run succeeded."""
        self.steps.clear()
        self.fleet = Fleet({name: self.facts(name) for name in self.macs}, behaviour=self.behave)
        for name, members in REPLICAS.items():
            _register(self.fleet, name, members, declared, changes=changes, holds=self.holds)
        self.fleet.prepare(rollout.verdict)
        return self.fleet.execute()

    @property
    def story(self) -> str:
        return "\n".join(self.fleet.said)

    def ledger(self) -> Any:
        with ctx_state.use(self.fleet.state):
            return ledger()

    def serving(self) -> dict[str, str | None]:
        """By replica the release that it serves with; None when it takes nothing."""
        return {
            name: self.formed[name] if self.is_ready(name) and not self.macs[members[0]].drained else None
            for name, members in REPLICAS.items()
        }


def _step(text: str) -> str | None:
    words = {"example drain": "drain", "--wait": "wait", "example speed": "speed", "example readmit": "readmit"}
    if "example status-old" in text:
        return "again"
    if FILES.plist in text and "kept=" in text:
        return "restore"
    if LABEL in text and ("bootstrap" in text or ".plist.new" in text) and FILES.plist not in text:
        return "load"
    if FILES.record in text or FILES.history in text or FILES.plist in text:
        return "record"
    return next((step for word, step in words.items() if word in text), None)


def _register(fleet: Fleet, name: str, members: tuple[str, ...], declared: str, *, changes: bool, holds: bool) -> None:
    first, release = members[0], f"agent-{declared}"
    commands = {
        "state": ["example", "status"],
        "order": ["example", "drain"],
        "speed": None if holds else ["example", "speed"],
    }
    drains = {first: {**commands, "wait": ["example", "drain", "--wait-for-it"]}}
    again = {"replica": name, "release": "agent-old", "wait": ["example", "status-old", "--wait", "30"]}
    going_back = {first: {**again, "readmit": ["example", "readmit"], "within_seconds": 30}}
    before = {"tokens_per_second": 50.0, "of": "same"} if holds else None
    steps: list[tuple[Callable[..., Any], Mapping[str, Any]]] = [
        (service.drain, {"on": drains, "changes": changes, "within_seconds": 10, "waits": not holds}),
        (rollout.step, {"operation": launchd.daemon, "arguments": {"label": LABEL, "plist": plist(declared)}}),
        (rollout.ready, {"on": first, "command": ["example", "status"], "release": release, "within_seconds": 30}),
        (service.fast, {"on": first, "command": ["example", "speed"], "least": 0.8, "before": before, "brief": holds}),
        (reversal.back, {"members": members, "before": {}, "files": FILES, "within_seconds": 10}),
        (reversal.proven, {"on": going_back if changes else {}}),
        (proof.recorded, {"records": {each: record(each, release) for each in members}, "files": FILES}),
        (service.readmit, {"on": first, "command": ["example", "readmit"]}),
    ]
    for operation, arguments in steps:
        more = {"members": members} if operation is rollout.step else {}
        fleet.prepare(operation, replica=name, **arguments, **more)


def _order(world: World, machine: str) -> list[str]:
    """The steps on a machine, each once however many commands it took."""
    steps = [step for name, step in world.steps if name == machine]
    return [step for number, step in enumerate(steps) if number == 0 or steps[number - 1] != step]


def places(steps: list[tuple[str, str]], machines: tuple[str, ...]) -> list[int]:
    return [number for number, (name, _) in enumerate(steps) if name in machines]


def test_each_step_of_a_turn_comes_after_the_one_before_on_all_its_machines():
    world = World()

    assert world.roll()
    assert _order(world, "mac-1") == ["drain", "speed", "load", "wait", "speed", "record", "readmit"]
    assert _order(world, "mac-2") == ["load", "record"]
    assert world.serving() == {"a": "agent-new", "b": "agent-new"}


def test_the_next_replica_is_untouched_until_the_one_before_is_proven_and_serves_again():
    world = World()
    world.roll()

    assert max(places(world.steps, REPLICAS["a"])) < min(places(world.steps, REPLICAS["b"]))
    assert world.steps[max(places(world.steps, REPLICAS["a"]))] == ("mac-1", "readmit")


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
    assert _order(world, "mac-1") == ["drain", "load", "wait", "speed", "record", "readmit"]
    assert [each for each in world.commands if "--wait-for-it" in each] == []
    assert {each.partition("example ")[2] for each in world.commands if "speed" in each} == {"speed --enough 40.0"}
    assert "answers under way are held, and go on after it" in world.story
    assert world.macs["mac-1"].record["speed"]["tokens_per_second"] == 50.0


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
