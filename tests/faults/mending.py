"""What a person does about a replica, by the road that a person takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.faults.records import Cold
from tests.faults.scene import GATEWAY, REPLICAS, ROOT, Place, Scene
from tests.plain import PLAIN

AWAY_WITHIN_SECONDS = 60.0
READY_WITHIN_SECONDS = 90.0
DRAINS, DRAINED_SECONDS = "a-test", 600
_PERIOD_SECONDS = 0.1


class NotAsExpected(Exception):
    """The lab is not in the state that a trial needs."""


def deploy_again(scene: Scene, _: Place) -> None:
    """`pyinfra -y INVENTORY deploy.py`."""
    command = [Path(sys.executable).with_name("pyinfra"), "-y", scene.inventory, "deploy.py"]
    run = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    if run.returncode:
        raise NotAsExpected(f"cannot deploy to {scene.cluster}: pyinfra ended with {run.returncode}.\n{run.stdout}")


def afresh(scene: Scene, place: Place) -> None:
    """Tell a broken replica to begin again."""
    _call(scene, REPLICAS[place.replica][0], "POST", "/replica/afresh")


def drain(scene: Scene, replica: str) -> None:
    """Order that a replica takes nothing new, and wait until it has nothing under way."""
    _call(scene, REPLICAS[replica][0], "PUT", "/replica/drain", {"by": DRAINS, "seconds": DRAINED_SECONDS})
    _wait(lambda: _is_idle(scene, replica), READY_WITHIN_SECONDS, f"{replica} drained")


def readmit(scene: Scene, replica: str) -> None:
    """End that order; nothing happens where there is none."""
    _call(scene, REPLICAS[replica][0], "DELETE", "/replica/drain", {"by": DRAINS})


def wait_until_away(scene: Scene, replica: str) -> None:
    """Wait until a replica has noticed that something happened to it."""
    _wait(lambda: not _is_ready(scene, replica), AWAY_WITHIN_SECONDS, f"{replica} away")


def start_cold(scene: Scene, replica: str, cold: Cold = "agents") -> float:
    """End both agents of a replica and their ranks, and start them together; the seconds until it is ready again.

    The restarts it has used are forgotten with that, too. Of "Macs" all restart but the gateway's, whose clients are
    part of the load, and the seconds are from when they answer SSH.
    """
    machines = REPLICAS[replica]
    restarting = [machine for machine in machines if cold == "Macs" and machine != GATEWAY]
    others = [machine for machine in machines if machine not in restarting]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda machine: scene.lab.fault("agent-unloaded", machine), others))
        list(pool.map(lambda machine: scene.lab.fault("reboot", machine), restarting))
        began = time.monotonic()
        list(pool.map(lambda machine: scene.lab.mend("agent-unloaded", machine), others))
    wait_until_ready(scene, replica)
    return time.monotonic() - began


def wait_until_ready(scene: Scene, replica: str) -> None:
    """Wait until a replica says that it is ready."""
    _wait(lambda: _is_ready(scene, replica), READY_WITHIN_SECONDS, f"{replica} ready")


def state(scene: Scene, replica: str) -> dict[str, Any]:
    """What a replica says of itself."""
    return _said(scene, replica)["replica"]


def endpoint(scene: Scene, replica: str) -> dict[str, Any]:
    """What the endpoint of a replica has counted."""
    return _said(scene, replica)["endpoint"]


def _said(scene: Scene, replica: str) -> dict[str, Any]:
    return _call(scene, REPLICAS[replica][0], "GET", "/state").json()


def _is_idle(scene: Scene, replica: str) -> bool:
    said = _said(scene, replica)
    return said["replica"]["state"] == "draining" and said["endpoint"]["in_flight"] + said["endpoint"]["queued"] == 0


def _is_ready(scene: Scene, replica: str) -> bool:
    return _call(scene, REPLICAS[replica][0], "GET", "/ready").status_code == 200


def _call(scene: Scene, machine: str, method: str, path: str, order: dict[str, Any] | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {scene.token()}"}
    url = f"{scene.agent(machine)}{path}"
    return httpx.request(method, url, headers=headers, json=order, timeout=2, **PLAIN)


def _wait(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not _holds(is_so):
        if time.monotonic() > end:
            raise NotAsExpected(f"cannot go on: not {what} after {seconds:.0f} seconds.")
        time.sleep(_PERIOD_SECONDS)  # another machine's state, with nothing to wait on


def _holds(is_so: Callable[[], bool]) -> bool:
    try:
        return is_so()
    except httpx.TransportError:
        return False
