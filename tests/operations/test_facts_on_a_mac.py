"""Every fact about a Mac read for real, over SSH: alone, and all of them in one round trip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from operations.facts.macos import Mac
from operations.facts.network import Network
from operations.facts.packet_filter import PacketFilter
from operations.facts.resources import Resources
from operations.facts.settings import Settings
from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from operations.facts.updates import MacUpdates
from tests.operations.facts.shapes import fits
from tests.standin.lab import Lab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
INVENTORY = Path(__file__).parent / "trial" / "inventory.py"
MAC = "mac-4"
KINDS = {
    "mac": Mac,
    "ports": ThunderboltPorts,
    "rdma": Rdma,
    "network": Network,
    "settings": Settings,
    "packet_filter": PacketFilter,
    "resources": Resources,
    "updates": MacUpdates,
}
READING = """
import json
from pathlib import Path

from pyinfra.api.exceptions import FactProcessError
from pyinfra.context import host

from operations.facts import batch
from tests.operations.test_facts_on_a_mac import KINDS

ARGUMENTS = {
    "packet_filter": {"anchor": "com.apple/example"},
    "updates": {"build": "25E246", "directory": "/opt/example", "user": "admin"},
}

facts = {name: (kind(), ARGUMENTS.get(name, {})) for name, kind in KINDS.items()}
alone = {name: host.get_fact(kind, **ARGUMENTS.get(name, {})) for name, kind in KINDS.items()}
succeeded, output = host.run_shell_command(batch.together(facts), _sudo=True)
values = batch.apart(output.stdout_lines, facts)
told = {name: str(value) if isinstance(value, FactProcessError) else value for name, value in values.items()}
Path(host.data.answer).write_text(json.dumps({"alone": alone, "together": told}))
"""


@pytest.fixture(scope="module")
def read(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Everything, read each way."""
    directory = tmp_path_factory.mktemp("reading")
    deploy, answer = directory / "deploy.py", directory / "answer.json"
    deploy.write_text(READING)
    ended = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", INVENTORY, deploy, "--data", f"answer={answer}"],
        cwd=ROOT,
        env={**os.environ, "TRIAL_LAB": str(lab.state), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.exists(), ended.stderr
    return json.loads(answer.read_text())


@pytest.mark.parametrize("name", KINDS)
def test_a_fact_is_read_alone_and_together_with_others(read, name):
    alone, together = read["alone"][name], read["together"][name]

    assert fits(alone, get_type_hints(KINDS[name].process)["return"]), alone
    # The disk is the one thing that others change meanwhile.
    assert together == (alone if name != "resources" else alone | {"disk_free_bytes": together["disk_free_bytes"]})


def test_what_is_read_is_what_the_rack_says(read, lab: Lab):
    machine = lab.rack().machines[MAC]
    seen = read["together"]

    assert (seen["mac"]["model"], seen["mac"]["memory_bytes"]) == (machine.model, machine.memory_bytes)
    assert {port["receptacle"]: port["interface"] for port in seen["ports"]} == machine.ports
    assert [port["status"] for port in seen["ports"] if port["peers"]] == ["receptacle_connected"] * 3
    assert set(seen["rdma"]["devices"]) == {f"rdma_{interface}" for interface in machine.ports.values()}
    assert seen["rdma"]["problem"] is None


def test_a_mac_fresh_from_the_factory_is_read_as_it_is(read):
    seen = read["together"]

    assert (seen["network"]["default_route"], len(seen["network"]["bridge"])) == (None, len(seen["ports"]))
    assert seen["network"]["interfaces"]["en0"]["active"]
    assert (seen["settings"]["power"]["sleep"], seen["settings"]["remote_login"]) == (1, True)
    assert seen["settings"]["updates"]["schedule"] is True
    assert seen["packet_filter"] == {"enabled": False, "rules": []}
    assert (seen["resources"]["wired_limit_mb"], seen["resources"]["clock_ahead_seconds"]) == (0, 0.0)
    assert seen["resources"]["protection_domains"] == 0
