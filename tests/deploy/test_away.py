"""A deploy undone, the plan for Macs that are bare again, and a deploy that cut itself off from a Mac."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.deployed import Bare, settings
from tests.deploy.running import (
    ADDRESSES,
    ENVIRONMENT,
    ROOT,
    STANDIN,
    Run,
    cidermill,
    deploy,
    examined,
    links_report,
    write_inventory,
)
from tests.serving.waiting import wait_until
from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab

# What macOS keeps of its settings it writes down anew when they are put back; they are compared as it tells them.
REMEMBERED = (
    "/memory/",
    "/Library/Preferences/com.apple.SoftwareUpdate.plist",
    "/Library/Preferences/com.apple.commerce.plist",
)
STEPS = [
    "Create account _cidermill",
    "Make directories",
    "Set up for headless use",
    "Lay the node environment",
    "Lay the gateway environment",
    "Lay our software",
    "Load dev.cidermill.links",
    "Confirm the network",
    "Replica a: load agents on mac-1, mac-2",
    "Replica a: start its ranks together",
    "Replica b: load agents on mac-3, mac-4",
    "Replica b: start its ranks together",
    "Load dev.cidermill.gateway",
    "Wait until the gateway answers",
]
LOST = "mac-2"


@dataclass(frozen=True)
class CutOff:
    """What became of a Mac that was lost in the middle of a deploy: its network, the links daemon's state, the run."""

    before: list[str]
    state: str
    changed: list[str]
    after: list[str]
    packet_filter: str
    run: Run


@pytest.fixture(scope="module")
def removed(deployed: Run) -> Run:
    """A deployed lab from which Cidermill was removed; nobody comes after these tests to whom it would matter."""
    return cidermill("remove", STANDIN, "--yes")


def network(lab: Lab, name: str) -> list[str]:
    """Who is in the bridge, which ports are up and which addresses there are, by ifconfig."""
    told = lab.call(name, "/sbin/ifconfig", "-a").stdout.splitlines()
    return [line.split(" mtu")[0].strip() for line in told if "member: " in line or "inet " in line or "flags=" in line]


def test_after_removal_only_the_weights_are_left(removed: Run, lab: Lab, bare: Bare):
    assert removed.code == 0, removed.output
    for name in ADDRESSES:
        found = differing(bare.trees[name], lab.tree(name))
        lasting = {path: what for path, what in found.items() if not path.startswith(REMEMBERED)}
        left = [path for path, (was, _) in lasting.items() if was is None]

        assert {path: (was, now) for path, (was, now) in lasting.items() if was is not None} == {}
        assert left
        assert [path for path in left if not f"{path}/".startswith("/opt/cidermill/weights/")] == ["/opt/cidermill"]


def test_after_removal_every_setting_is_as_it_was(removed: Run, lab: Lab, bare: Bare):
    assert {name: settings(lab, name) for name in ADDRESSES} == bare.settings


def test_after_removal_the_keys_are_gone_from_here_as_well(removed: Run):
    assert not ENVIRONMENT.exists()


def test_a_second_removal_finds_nothing(removed: Run):
    again = cidermill("remove", STANDIN, "--yes")

    assert (again.code, again.output.startswith("Nothing to remove")) == (0, True), again.output


def test_the_doctor_calls_a_bare_lab_not_deployed_to(removed: Run):
    code, findings = examined()

    assert code == 1
    assert [(f["machine"], f["check"], f["seen"]) for f in findings if f["check"] == "Cidermill"] == [
        (name, "Cidermill", "not deployed yet") for name in ADDRESSES
    ]


def test_a_dry_run_tells_the_whole_plan_in_order_and_changes_nothing(removed: Run, trees: Callable[[], dict[str, str]]):
    before = trees()

    run = deploy(STANDIN, "--dry")

    # The weights were kept, so they are not among what is to be done.
    places = {step: run.output.find(f"    {step} ") for step in STEPS}
    assert run.code == 0, run.output
    assert [step for step, place in places.items() if place == -1] == []
    assert list(places.values()) == sorted(places.values())
    assert differing(before, trees()) == {}


@pytest.fixture(scope="module")
def cut_off(removed: Run, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> CutOff:
    """A deploy, which is to leave settings alone, during which a Mac cannot be reached once its network was changed."""
    changes = {"thunderbolt__confirm_within_seconds": 15, "headless": None}
    inventory = write_inventory(tmp_path_factory.mktemp("inventory") / "variant.py", changes)
    before = network(lab, LOST)
    command = [Path(sys.executable).with_name("pyinfra"), "-y", inventory, "deploy.py"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: bool(links_report(lab, LOST).get("changes")), seconds=300)
        lab.fault("management-cut", LOST)
        state, changed = links_report(lab, LOST)["state"], network(lab, LOST)
        wait_until(lambda: links_report(lab, LOST).get("state") == "reverted", seconds=60)
        after, packet_filter = network(lab, LOST), lab.call(LOST, "/sbin/pfctl", "-s", "info").stdout
    finally:
        output, _ = run.communicate(timeout=300)
        lab.mend("management-cut", LOST)
    return CutOff(before, state, changed, after, packet_filter, Run(run.returncode, output))


def test_a_mac_that_is_not_reached_again_puts_its_network_back_by_itself(cut_off: CutOff):
    assert cut_off.state == "unconfirmed"
    assert cut_off.changed != cut_off.before
    assert cut_off.after == cut_off.before
    assert cut_off.packet_filter.startswith("Status: Disabled")


def test_the_deploy_that_lost_it_says_so_and_fails(cut_off: CutOff):
    assert cut_off.run.code == 1
    assert f"[{LOST}]" in cut_off.run.output.partition("Confirm the network")[2]


def test_settings_that_are_not_managed_are_left_as_they_are(cut_off: CutOff, lab: Lab, bare: Bare):
    owned = [
        name for name in bare.settings[LOST] if "pmset" in name or "systemsetup" in name or "update" in name.lower()
    ]

    assert len(owned) >= 5
    assert {name: settings(lab, LOST)[name] for name in owned} == {name: bare.settings[LOST][name] for name in owned}
