"""Machines that keep state for a roll over them: what is done to them in which order, and what is to go wrong."""

from __future__ import annotations

import hashlib
import json
import plistlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    held: bool = False
    """Whether it is drained when its agent starts again."""
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
            mac.held, mac.drained = step == "drain", step == "drain" and "--from-restart" not in text
        elif step == "load" and "bootstrap" in text:
            mac.loaded, self.formed[replica], mac.drained = "new", None, mac.held
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
            _, _, until = text.partition("--until-speed ")
            if until:
                if self.speeds[mac.loaded] >= float(until):
                    mac.held = mac.drained = False
                return True, [json.dumps({"tokens_per_second": self.speeds[mac.loaded], "of": "same"})]
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
        "order": ["example", "drain", *(["--from-restart"] if holds else [])],
        "works_until_restart": holds,
        "speed": None if holds else ["example", "speed"],
    }
    drains = {first: {**commands, "wait": ["example", "drain", "--wait-for-it"]}}
    again = {"replica": name, "release": "agent-old", "wait": ["example", "status-old", "--wait", "30"]}
    going_back = {first: {**again, "readmit": ["example", "readmit"], "within_seconds": 30}}
    before = {"tokens_per_second": 50.0, "of": "same"} if holds else None
    steps: list[tuple[Callable[..., Any], Mapping[str, Any]]] = [
        (service.drain, {"on": drains, "changes": changes, "within_seconds": 10, "waits": not holds}),
        (rollout.step, {"operation": launchd.daemon, "arguments": {"label": LABEL, "plist": plist(declared)}}),
        (
            rollout.ready,
            {
                "on": first,
                "command": ["example", "status"],
                "release": release,
                "within_seconds": 30,
                "until_speed": 40.0 if holds else None,
            },
        ),
        (service.fast, {"on": first, "command": ["example", "speed"], "least": 0.8, "before": before}),
        (reversal.back, {"members": members, "before": {}, "files": FILES, "within_seconds": 10}),
        (reversal.proven, {"on": going_back if changes else {}}),
        (service.readmit, {"on": first, "command": ["example", "readmit"]}),
        (proof.recorded, {"records": {each: record(each, release) for each in members}, "files": FILES}),
    ]
    for operation, arguments in steps:
        more = {"members": members} if operation is rollout.step else {}
        fleet.prepare(operation, replica=name, **arguments, **more)
