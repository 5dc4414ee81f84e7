"""Operations for real, over SSH: applied twice, with the machine looked at by another road in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
TRIAL = Path(__file__).parent / "trial"
MAC = "mac-4"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights on the control machine."""
    directory = tmp_path_factory.mktemp("weights")
    (directory / "config.json").write_text("{}\n")
    (directory / "model.safetensors").write_bytes(bytes(range(256)) * 4096)
    return directory


@pytest.fixture(scope="module")
def changed(lab: Lab, source: Path) -> Iterator[Callable[..., list[str]]]:
    """Runs a deploy file: the names of the operations that changed something."""

    def run(deploy: str = "deploy.py", **data: object) -> list[str]:
        given = [f"{key}={json.dumps(value)}" for key, value in data.items()]
        ended = subprocess.run(
            [Path(sys.executable).with_name("pyinfra"), "-y", "--json", TRIAL / "inventory.py", TRIAL / deploy]
            + [word for pair in (f"source={source}", *given) for word in ("--data", pair)],
            cwd=ROOT,
            env={**os.environ, "TRIAL_LAB": str(lab.state)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        results: dict[str, Any] = json.loads(ended.stdout)["results"]
        return [operation["name"] for operation in results["operations"] if operation["success"]]

    yield run
    run("undo.py")
    shutil.rmtree(lab.root(MAC) / "opt/trial")
    for record in ("/Users/_trial", "/Groups/_trial"):
        lab.call(MAC, "/usr/bin/dscl", ".", "-delete", record)


@pytest.fixture(scope="module")
def first(changed: Callable[..., list[str]]) -> list[str]:
    """The first time."""
    return changed()


def job(lab: Lab) -> str:
    return lab.call(MAC, "/bin/launchctl", "print", "system/dev.trial.job").stdout


def pid(lab: Lab) -> str:
    found = re.search(r"^\tpid = (\d+)$", job(lab), re.MULTILINE)
    assert found, job(lab)
    return found[1]


def test_everything_is_made_the_first_time(first: list[str], lab: Lab):
    token = lab.root(MAC) / "opt/trial/secrets/token"

    assert first == [
        "Create an account",
        "Make directories",
        "Write a token",
        "Send weights",
        "Lay a release",
        "Load a job",
        "Keep a job unloaded",
    ]
    assert (token.read_text(), oct(token.stat().st_mode), token.stat().st_uid) == ("x\n", "0o100600", 399)
    assert "state = running" in job(lab)


@pytest.mark.usefixtures("first")
def test_nothing_is_done_the_second_time(changed, lab: Lab):
    before, running = lab.tree(MAC), pid(lab)

    assert changed() == []
    assert differing(before, lab.tree(MAC)) == {}
    assert pid(lab) == running


@pytest.mark.usefixtures("first")
def test_nothing_is_left_in_tmp(lab: Lab):
    assert [path.name for path in (lab.root(MAC) / "private/tmp").iterdir() if "cidermill" in path.name] == []


@pytest.mark.usefixtures("first")
def test_a_damaged_byte_is_sent_again(changed, source: Path, lab: Lab):
    weights = lab.root(MAC) / "opt/trial/weights/model.safetensors"
    weights.write_bytes(b"\0" * weights.stat().st_size)

    assert changed() == ["Send weights"]
    assert weights.read_bytes() == (source / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("first")
def test_a_changed_job_is_loaded_anew_also_when_it_will_not_leave(changed, lab: Lab):
    old = pid(lab)
    changes = ["Lay a release", "Load a job", "Remove old releases"]

    assert changed(ignores_sigterm=True) == changes
    assert changed(ignores_sigterm=True) == []
    assert changed() == changes
    assert pid(lab) != old


@pytest.mark.usefixtures("first")
def test_a_job_that_a_cut_off_run_left_unloaded_is_loaded_again(changed, lab: Lab):
    lab.call(MAC, "/bin/launchctl", "bootout", "system/dev.trial.job")
    deadline = time.monotonic() + 10
    while job(lab) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert changed() == ["Load a job"]
    assert "state = running" in job(lab)


@pytest.mark.usefixtures("first")
def test_what_is_no_longer_declared_goes(changed, lab: Lab):
    assert changed("undo.py") == ["Remove jobs", "Remove everything"]
    assert changed("undo.py") == []
    assert [path for path in (lab.root(MAC) / "Library/LaunchDaemons").iterdir() if "dev.trial" in path.name] == []
