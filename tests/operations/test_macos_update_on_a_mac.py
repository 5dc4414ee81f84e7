"""From macOS 26.3 to 26.4 over SSH, on a Mac that downloads, restarts and comes back; or does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.standin.commands.directory import ADMIN_PASSWORD
from tests.standin.lab import Lab
from tests.standin.mac import INSIDE, Memory

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).parents[2]
TRIAL = Path(__file__).parent / "trial"
MAC = "mac-4"
LABEL = "macOS Tahoe 26.4-25E246"
LOGS = "opt/trial-macos"


def command(**data: object) -> list[Any]:
    given = {"label": LABEL, "password": ADMIN_PASSWORD, **data}
    pairs = (f"{name}={json.dumps(value)}" for name, value in given.items())
    pyinfra = Path(sys.executable).with_name("pyinfra")
    return [
        pyinfra,
        "-y",
        TRIAL / "inventory.py",
        TRIAL / "update.py",
        *(word for pair in pairs for word in ("--data", pair)),
    ]


def update(lab: Lab, **data: object) -> tuple[int, str]:
    """Exit code, and everything that was said."""
    environment = {**os.environ, "TRIAL_LAB": str(lab.state)}
    ended = subprocess.run(
        command(**data), cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    return ended.returncode, ended.stdout + ended.stderr


def sw_vers(lab: Lab) -> list[str]:
    return [lab.call(MAC, "/usr/bin/sw_vers", option).stdout.strip() for option in ("-productVersion", "-buildVersion")]


def boot(lab: Lab) -> str:
    return lab.call(MAC, "/usr/sbin/sysctl", "-n", "kern.bootsessionuuid").stdout


@pytest.fixture
def offered(lab: Lab) -> Iterator[Lab]:
    """A Mac with macOS 26.3, and 26.4 on offer; afterwards with 26.3 again."""
    lab.offer(MAC, "26.4", "27")
    yield lab
    lab.offer(MAC)
    lab.mend("rdma-off", MAC)
    lab.mend("macos-26.1", MAC)  # both put back what it came up with


def test_a_mac_is_brought_to_another_macos_and_is_left_alone_the_second_time(offered: Lab):
    before = boot(offered)
    code, said = update(offered)
    after = boot(offered)
    again_code, again = update(offered)
    log = offered.root(MAC) / LOGS / "install-25E246.log"

    assert code == 0, said
    assert sw_vers(offered) == ["26.4", "25E246"]
    assert before != after == boot(offered)
    # Of what is downloaded already installing downloads nothing.
    assert said.count("Downloading: 90.00%") == 1
    assert said.index("Downloaded: macOS Tahoe 26.4") < said.index("Restarting...")
    assert "macOS 26.4 (25E246) runs; its cables and RDMA are looked at" in said
    assert "Restarting..." in log.read_text()
    assert again_code == 0
    assert "Downloading" not in again
    assert ADMIN_PASSWORD not in said + log.read_text()


def download_takes(lab: Lab, step_seconds: float) -> None:
    memory = Memory(lab.root(MAC) / (INSIDE / "memory").relative_to("/"))
    memory.write("update-step-seconds", step_seconds)


def begun(lab: Lab) -> subprocess.Popen[str]:
    environment = {**os.environ, "TRIAL_LAB": str(lab.state)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command(), cwd=CHECKOUT, env=environment, **pipes)


def heard(run: subprocess.Popen[str], words: str) -> str:
    """What a run says until these words come, or it ends; one that does neither for long is ended."""
    assert run.stdout is not None
    end, said = Timer(120, run.kill), ""
    end.start()
    while words not in said and (line := run.stdout.readline()):
        said += line
    end.cancel()
    return said


def test_one_whose_deploy_was_killed_is_gone_on_with_by_the_next(offered: Lab):
    download_takes(offered, step_seconds=1000)
    first = begun(offered)
    heard(first, "Finding available software")  # a line of progress ends only when the next one begins
    first.kill()
    first.communicate()
    second = begun(offered)
    told = heard(second, "softwareupdate goes on: it is under way already")
    download_takes(offered, step_seconds=0.2)
    rest, _ = second.communicate(timeout=240)

    assert "softwareupdate goes on: it is under way already" in told
    assert second.returncode == 0, rest
    assert sw_vers(offered) == ["26.4", "25E246"]


REFUSED = {
    "password-changed": ({"speed": 10}, "Failed to authenticate, and the Mac has not restarted within 60 s"),
    "update-undone": ({}, "it restarted and runs macOS 26.3 (25D125), needed macOS 26.4 (25E246)"),
    "update-without-rdma": ({"mended": 3}, "3 s after its restart not all is as it was: RDMA: "),
    "restart-never-ends": ({"restart": 8}, "it went away to restart for macOS 26.4 (25E246), and has not answered"),
}


@pytest.mark.parametrize(("fault", "data", "words"), [(name, *row) for name, row in REFUSED.items()], ids=REFUSED)
def test_what_goes_wrong_is_refused_with_what_was_seen(offered: Lab, fault: str, data: dict[str, object], words: str):
    offered.fault(fault, MAC)
    try:
        code, said = update(offered, **data)
    finally:
        offered.mend(fault, MAC)

    assert code == 1
    assert words in said
    assert "Traceback" not in said
    assert ADMIN_PASSWORD not in said


def test_a_label_that_nobody_offers_is_refused_before_anything_restarts(offered: Lab):
    before = boot(offered)
    code, said = update(offered, label="macOS Tahoe 26.4-25E999")

    assert code == 1
    assert "cannot fetch macOS 26.4 (25E246) on mac-4: softwareupdate ended with 0" in said
    assert boot(offered) == before
