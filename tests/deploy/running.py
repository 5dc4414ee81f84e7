"""Running the deploy, and asking the machines afterwards without pyinfra's help."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from serving.layout import LINKS_REPORT
from tests.plain import PLAIN
from tests.standin.lab import Lab

ROOT = Path(__file__).parents[2]
STANDIN = ROOT / "inventories" / "standin.py"
ENVIRONMENT = ROOT / ".cidermill" / "standin.env"
AGENT_PORT = 7440
ADDRESSES = {f"mac-{n}": f"10.77.0.{10 + n}" for n in (1, 2, 3, 4)}


@dataclass(frozen=True)
class Run:
    """What one run of pyinfra printed, both streams in order, and its exit code."""

    code: int
    output: str


def deploy(inventory: Path, *flags: str) -> Run:
    """`pyinfra -y INVENTORY deploy.py`, or with other flags in place of -y."""
    command = [Path(sys.executable).with_name("pyinfra"), *(flags or ("-y",)), inventory, "deploy.py"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    return Run(run.returncode, run.stdout)


def cidermill(*words: str | Path, seconds: float = 300) -> Run:
    """`cidermill WORDS`, standard output alone: a report, or a document."""
    command = [Path(sys.executable).with_name("cidermill"), *words]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    return Run(run.returncode, run.stdout or run.stderr)


def examined(inventory: Path = STANDIN) -> tuple[int, list[dict[str, Any]]]:
    """The doctor's exit code and its findings."""
    run = cidermill("doctor", inventory, "--json")
    assert run.output.startswith("{"), run.output
    return run.code, json.loads(run.output)["findings"]


def typed(line: str, **environment: str) -> Run:
    """A line as a person types it into a shell at the root of the checkout."""
    run = subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return Run(run.returncode, run.stdout)


def write_inventory(path: Path, changes: Mapping[str, object]) -> Path:
    """An inventory that is the stand-ins' with some places changed."""
    path.write_text(
        "from inventories.standin import cluster as standin\n"
        "from operations.inventory import declare, hosts\n"
        "from serving.cluster import Cluster\n"
        "from tests.deploy.running import changed\n\n"
        f"cluster = declare(Cluster, **changed(standin.model_dump(), {dict(changes)!r}))\n"
        "macs = hosts(cluster)\n"
    )
    return path


def changed(declaration: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """A declaration as plain data with the places named `replicas__0__transport` set anew."""
    data = json.loads(json.dumps(declaration))
    for place, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in place.split("__")]
        inner: Any = data
        for step in way:
            inner = inner[step]
        inner[last] = value
    return data


def client_environment() -> dict[str, str]:
    """What the deploy wrote for clients, as a shell would read it."""
    words = shlex.split(ENVIRONMENT.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def cluster_token() -> str:
    """The token that agents ask for, from where the control machine keeps it."""
    return json.loads((ROOT / ".cidermill" / "standin.secrets.json").read_text())["cluster_token"]


def agent(machine: str, path: str, **body: Any) -> httpx.Response:
    """What one agent answers: GET, or POST when there is a body."""
    headers = {"Authorization": f"Bearer {cluster_token()}"}
    with httpx.Client(
        base_url=f"http://{ADDRESSES[machine]}:{AGENT_PORT}", headers=headers, timeout=60, **PLAIN
    ) as http:
        return http.post(path, json=body) if body else http.get(path)


def links_report(lab: Lab, machine: str) -> dict[str, Any]:
    """What a Mac's links daemon says last, read by another road than SSH; empty while it has said nothing."""
    report = lab.root(machine) / LINKS_REPORT.lstrip("/")
    return json.loads(report.read_text()) if report.exists() else {}


class NotYetError(Exception):
    """What was waited for has not come."""


@retry(
    stop=stop_after_delay(120),
    wait=wait_fixed(0.5),
    retry=retry_if_exception_type((NotYetError, httpx.TransportError)),
    reraise=True,
)
def replica_until(machine: str, state: str) -> dict[str, Any]:
    """The replica whose rank 0 is on a machine, once it is in a state."""
    replica = agent(machine, "/state").json()["replica"]
    if replica["state"] != state:
        raise NotYetError(f"{replica['name']} is {replica['state']}: {replica['reason']}")
    return replica
