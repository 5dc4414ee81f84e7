"""One gateway that takes over from another, on a machine that keeps state."""

from __future__ import annotations

import hashlib
import plistlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from operations import gateway, rollout
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import Fleet, Machine

LABELS = ("dev.example.gateway", "dev.example.gateway-2")
STATUS = ["example", "status"]


def plist(label: str, release: str) -> dict[str, Any]:
    return {"Label": label, "ProgramArguments": [f"/opt/example/releases/gateway-{release}/run"], "KeepAlive": True}


@dataclass
class Door:
    """What is loaded, by label the release; and what is to go wrong."""

    loaded: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, list[str]]:
        plists = jobs = ""
        for label, release in self.loaded.items():
            digest = hashlib.sha256(plistlib.dumps(plist(label, release), sort_keys=True)).hexdigest()
            plists += f"{digest}  /Library/LaunchDaemons/{label}.plist\n"
            printed_job = capture("launchctl-print-running.txt").replace("dev.example.agent", label)
            jobs += f"job {label}\n{printed_job}"
        told = printed(user="0", plists=plists, jobs=jobs, disabled="disabled services = {\n}\n")
        state = '{"state": "ready"}\n'
        return {"user": told, "state": printed(state=state)}

    def behave(self, machine: Machine, text: str) -> tuple[bool, list[str]] | None:
        told = self._done(text)
        machine.world = self.facts()
        return told

    def _done(self, text: str) -> tuple[bool, list[str]] | None:
        label = next((each for each in reversed(LABELS) if f"label={each}\n" in text), None)
        if label and "launchctl bootstrap" in text:
            self.steps.append(f"load {label}")
            self.loaded[label] = "new"
        elif label and 'rm -f "$plist"' in text:
            self.steps.append(f"remove {label}")
            self.loaded.pop(label, None)
        elif "--private" in text:
            self.steps.append("ask in private")
            if "new" in self.silent:
                return False, ["the gateway, asked in private, does not answer"]
        return None

    def switch(self) -> tuple[Fleet, bool]:
        self.steps.clear()
        fleet = Fleet({"mac-1": self.facts()}, behaviour=self.behave)
        arguments = {"plist": plist(LABELS[0], "new"), "command": STATUS, "release": "gateway-new"}
        fleet.prepare(gateway.switched, LABELS, **arguments, within_seconds=30, drain_seconds=10)
        fleet.prepare(rollout.verdict)
        return fleet, fleet.execute()


def test_on_a_bare_mac_the_first_label_is_loaded_and_asked():
    door = Door()
    _, succeeded = door.switch()

    assert succeeded
    assert door.steps == [f"load {LABELS[0]}", "ask in private"]


def test_the_new_one_proves_itself_beside_the_old_one_which_only_then_ends():
    door = Door(loaded={LABELS[0]: "old"})
    door.switch()

    assert door.steps == [f"load {LABELS[1]}", "ask in private", f"remove {LABELS[0]}"]
    assert door.loaded == {LABELS[1]: "new"}


def test_the_next_one_takes_the_first_label_again():
    door = Door(loaded={LABELS[1]: "old"})
    door.switch()

    assert door.loaded == {LABELS[0]: "new"}


def test_one_that_does_not_answer_goes_and_the_old_one_was_never_stopped():
    door = Door(loaded={LABELS[0]: "old"}, silent={"new"})
    fleet, succeeded = door.switch()
    said = "\n".join(fleet.said)

    assert not succeeded
    assert door.loaded == {LABELS[0]: "old"}
    assert door.steps == [f"load {LABELS[1]}", "ask in private", f"remove {LABELS[1]}"]
    assert f"{LABELS[0]} was never stopped and serves" in said


@pytest.mark.parametrize("label", LABELS)
def test_the_second_run_finds_it_under_whichever_label(label: str):
    door = Door(loaded={label: "new"})
    _, succeeded = door.switch()

    assert (succeeded, door.steps) == (True, [])


@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old"), ("old", "older")])
def test_a_deploy_that_was_cut_off_between_the_two_is_finished(first: str, second: str):
    door = Door(loaded={LABELS[0]: first, LABELS[1]: second})
    _, succeeded = door.switch()

    assert succeeded
    assert list(door.loaded.values()) == ["new"]
    assert "ask in private" in door.steps
