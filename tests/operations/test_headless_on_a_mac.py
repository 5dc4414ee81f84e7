"""A desktop made into a server and back, over SSH, looked at by another road before, in between and afterwards."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.facts.settings import UPDATE_KEYS
from tests.operations.trial.corner import PREFIX, RECORD, ROOT
from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).parents[2]
TRIAL = Path(__file__).parent / "trial"
MAC = "mac-4"
LOOKS = (
    ("/usr/bin/pmset", "-g", "custom"),
    ("/usr/sbin/systemsetup", "-getrestartfreeze"),
    ("/usr/sbin/softwareupdate", "--schedule"),
    ("/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate"),
    ("/bin/launchctl", "print-disabled", "system"),
    *(("/usr/bin/defaults", "read", domain, key) for key, domain in UPDATE_KEYS.items()),
)


def pyinfra(lab: Lab, deploy: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("pyinfra"), "-y", "--json", TRIAL / "inventory.py", TRIAL / deploy]
    environment = {**os.environ, "TRIAL_LAB": str(lab.state)}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def changed(lab: Lab) -> Callable[[str], list[str]]:
    """Runs a deploy file: the names of the operations that changed something."""

    def run(deploy: str) -> list[str]:
        ended = pyinfra(lab, deploy)
        assert ended.returncode == 0, ended.stderr
        results: dict[str, Any] = json.loads(ended.stdout)["results"]
        return [operation["name"] for operation in results["operations"] if operation["success"]]

    return run


def look(lab: Lab) -> dict[str, tuple[str, int]]:
    """How the Mac is set, by the words of its own commands; of standard error the time is left out."""
    replies = {" ".join(argv): lab.call(MAC, *argv) for argv in LOOKS}
    return {command: (reply.stdout + reply.stderr[30:], reply.code) for command, reply in replies.items()}


def record(lab: Lab) -> dict[str, Any]:
    return json.loads((lab.root(MAC) / RECORD.lstrip("/")).read_text())


# What an owner has chosen on a desktop. Everything is said, so that macOS's memory holds it as it will in the end.
CHOSEN = (
    ("/usr/bin/pmset", "-a", "sleep", "15", "disksleep", "10", "autorestart", "0", "womp", "0"),
    ("/usr/sbin/systemsetup", "-setrestartfreeze", "off"),
    ("/usr/sbin/softwareupdate", "--schedule", "on"),
    ("/usr/libexec/ApplicationFirewall/socketfilterfw", "--setglobalstate", "on"),
    ("/usr/bin/defaults", "write", UPDATE_KEYS["AutomaticDownload"], "AutomaticDownload", "-bool", "true"),
    ("/usr/bin/defaults", "write", UPDATE_KEYS["AutoUpdate"], "AutoUpdateRestartRequired", "-bool", "true"),
    ("/bin/launchctl", "enable", "system/com.openssh.sshd"),
    ("/usr/bin/dscl", ".", "-create", "/Groups/_before"),
    ("/usr/bin/dscl", ".", "-delete", "/Groups/_before"),
)


FROM_FACTORY = (
    ("/usr/bin/pmset", "-a", "sleep", "1", "womp", "1"),
    ("/usr/libexec/ApplicationFirewall/socketfilterfw", "--setglobalstate", "off"),
    ("/usr/bin/defaults", "delete", UPDATE_KEYS["AutomaticDownload"], "AutomaticDownload"),
    ("/usr/bin/defaults", "delete", UPDATE_KEYS["AutoUpdate"], "AutoUpdateRestartRequired"),
)


@pytest.fixture(scope="module")
def before(lab: Lab) -> Iterator[tuple[dict[str, str], dict[str, tuple[str, int]]]]:
    """A desktop: its tree, and how it is set."""
    for command in CHOSEN:
        assert lab.call(MAC, *command).code == 0, command
    yield lab.tree(MAC), look(lab)
    for command in FROM_FACTORY:
        lab.call(MAC, *command)
    shutil.rmtree(lab.root(MAC) / ROOT.lstrip("/"), ignore_errors=True)


@pytest.fixture(scope="module")
def first(before: object, changed: Callable[[str], list[str]]) -> list[str]:
    """The first time."""
    return changed("headless.py")


def test_a_desktop_becomes_a_server(first: list[str], lab: Lab):
    seen = look(lab)
    power = dict(line.rsplit(maxsplit=1) for line in seen["/usr/bin/pmset -g custom"][0].splitlines()[1:])

    assert "Make a server of it" in first
    assert {power[f" {name}"] for name in ("autorestart", "womp")} == {"1"}
    assert {power[f" {name}"] for name in ("sleep", "disksleep", "standby")} == {"0"}
    assert seen["/usr/sbin/systemsetup -getrestartfreeze"][0] == "Restart After Freeze: On\n"
    assert "turned off" in seen["/usr/sbin/softwareupdate --schedule"][0]
    assert {seen[f"/usr/bin/defaults read {domain} {key}"] for key, domain in UPDATE_KEYS.items()} == {("0\n", 0)}


@pytest.mark.usefixtures("first")
def test_what_was_there_is_on_record_for_root_alone(lab: Lab):
    status = (lab.root(MAC) / RECORD.lstrip("/")).stat()

    assert (stat.filemode(status.st_mode), status.st_uid) == ("-rw-------", 0)
    assert record(lab)["power/sleep"] == 15
    assert record(lab)["updates/AutomaticDownload"] is True
    assert record(lab)["updates/AutoUpdate"] is None
    assert record(lab)["application_firewall"] is True


@pytest.mark.usefixtures("first")
def test_nothing_is_done_the_second_time(changed: Callable[[str], list[str]], lab: Lab):
    tree = lab.tree(MAC)

    assert changed("headless.py") == []
    assert differing(tree, lab.tree(MAC)) == {}


@pytest.mark.usefixtures("first")
def test_loading_a_daemon_leaves_no_note_with_launchd(lab: Lab):
    assert PREFIX not in lab.call(MAC, "/bin/launchctl", "print-disabled", "system").stdout


@pytest.mark.usefixtures("first")
def test_a_setting_that_somebody_changed_is_put_right_and_never_taken_for_what_was_before(changed, lab: Lab):
    was = record(lab)
    lab.call(MAC, "/usr/bin/pmset", "-a", "sleep", "1")

    assert changed("headless.py") == ["Make a server of it"]
    assert record(lab) == was


@pytest.mark.usefixtures("first")
def test_remote_login_that_was_turned_off_under_a_connection_is_turned_on_again(changed, lab: Lab):
    lab.call(MAC, "/bin/launchctl", "disable", "system/com.openssh.sshd")

    assert changed("headless.py") == ["Make a server of it"]
    assert '"com.openssh.sshd" => enabled' in lab.call(MAC, "/bin/launchctl", "print-disabled", "system").stdout
    assert record(lab)["remote_login"] is False


@pytest.fixture(scope="module")
def refused(first: object, lab: Lab) -> subprocess.CompletedProcess[str]:
    """A removal that came upon an account that is somebody else's."""
    real_name = ("/usr/bin/dscl", ".", "-create", "/Users/_corner", "RealName")
    lab.call(MAC, *real_name, "Somebody else")
    ended = pyinfra(lab, "remove.py")
    lab.call(MAC, *real_name, "Cidermill")
    return ended


def test_an_account_that_is_not_ours_stops_the_removal(refused: subprocess.CompletedProcess[str], lab: Lab):
    assert refused.returncode == 1
    assert "remote login was off before and stays on" in refused.stderr
    assert "cannot remove user _corner on mac-4: its RealName is 'Somebody else'" in refused.stderr
    assert lab.call(MAC, "/usr/bin/dscl", ".", "-read", "/Groups/_corner").code == 0
    assert (lab.root(MAC) / ROOT.lstrip("/") / "software").is_dir()


@pytest.mark.usefixtures("refused")
def test_what_a_daemon_did_is_undone_when_it_goes(lab: Lab):
    weights = lab.root(MAC) / ROOT.lstrip("/") / "weights"

    assert {path.name: path.read_text() for path in weights.iterdir()} == {"links": "undone\n"}
    assert PREFIX not in lab.call(MAC, "/bin/launchctl", "list").stdout


@pytest.mark.usefixtures("refused")
def test_a_removal_that_was_stopped_goes_on_and_the_mac_is_as_it_was(changed, before, lab: Lab):
    tree, seen = before
    done = changed("remove.py")
    now = lab.tree(MAC)
    kept = {path for path in now if path.startswith(ROOT)}

    assert done == ["Remove the account", "Remove files"]
    assert kept == {ROOT, f"{ROOT}/weights", f"{ROOT}/weights/links"}
    assert look(lab) == seen
    assert set(differing(tree, now)) == kept


@pytest.mark.usefixtures("refused")
def test_nothing_is_removed_the_second_time(changed: Callable[[str], list[str]]):
    assert changed("remove.py") == []
