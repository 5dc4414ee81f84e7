"""A deploy undone, and one that cut itself off from a Mac."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import Bare, settings
from tests.deploy.running import ADDRESSES, ENVIRONMENT, ROOT, STANDIN, Run, cidermill, deploy, examined
from tests.serving.waiting import wait_until
from tests.standin.lab import Lab

pytestmark = pytest.mark.lab

# What macOS keeps of its settings it writes down anew when they are put back; they are compared as it tells them.
REMEMBERED = (
    "/memory/",
    "/Library/Preferences/com.apple.SoftwareUpdate.plist",
    "/Library/Preferences/com.apple.commerce.plist",
)
CUT_OFF = "mac-2"


@pytest.fixture(scope="module")
def removed(deployed: Run) -> Iterator[Run]:
    """A deployed lab from which Cidermill was removed; deployed to again in the end."""
    yield cidermill("remove", STANDIN, "--yes")
    run = deploy(STANDIN)
    assert run.code == 0, run.output


def network(lab: Lab, name: str) -> list[str]:
    """Who is in the bridge, which ports are up and which addresses there are, by ifconfig."""
    told = lab.call(name, "/sbin/ifconfig", "-a").stdout.splitlines()
    return [line.split(" mtu")[0].strip() for line in told if "member: " in line or "inet " in line or "flags=" in line]


def test_after_removal_only_the_weights_are_left(removed: Run, lab: Lab, bare: Bare):
    assert removed.code == 0, removed.output
    for name in ADDRESSES:
        now = {path: what for path, what in lab.tree(name).items() if not path.startswith(REMEMBERED)}
        then = {path: what for path, what in bare.trees[name].items() if not path.startswith(REMEMBERED)}
        left = [path for path in now if path not in then]

        assert {path: now.get(path) for path in then} == then
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


def test_a_mac_that_cannot_be_reached_after_its_network_was_changed_puts_everything_back(
    removed: Run, lab: Lab, variant: Callable[..., Path]
):
    report = lab.root(CUT_OFF) / "private/var/run/cidermill-links.json"
    then = network(lab, CUT_OFF)
    inventory = variant(thunderbolt__confirm_within_seconds=15)
    command = [Path(sys.executable).with_name("pyinfra"), "-y", inventory, "deploy.py"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def told() -> dict[str, object]:
        return json.loads(report.read_text()) if report.exists() else {}

    try:
        wait_until(lambda: bool(told().get("changes")), seconds=300)
        lab.fault("management-cut", CUT_OFF)
        assert told()["state"] == "unconfirmed"
        assert network(lab, CUT_OFF) != then
        wait_until(lambda: told().get("state") == "reverted", seconds=60)

        assert network(lab, CUT_OFF) == then
        assert lab.call(CUT_OFF, "/sbin/pfctl", "-s", "info").stdout.startswith("Status: Disabled")
    finally:
        output, _ = run.communicate(timeout=300)
        lab.mend("management-cut", CUT_OFF)

    assert run.returncode == 1
    assert CUT_OFF in output.partition("Results:")[2] or f"network of {CUT_OFF}" in output
