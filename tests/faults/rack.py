"""A rack of the matrix's own, deployed to: four Macs and two replicas, beside whatever other lab is up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations import control
from tests.faults.mending import deploy_again
from tests.faults.scene import GATEWAY, REPLICAS, Place, Scene
from tests.standin.assembly import assemble, disassemble
from tests.standin.lab import Lab
from tests.standin.mac import Rack
from tests.standin.rack import full_mesh, mac_studio
from tests.standin.state import State
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

STATE = State(Path("/run/cidermill-faults"), "cidermill5", "10.75.0.1")
CLUSTER = "faults"
_TRANSPORTS = {"a": "tensor", "b": "pipeline"}
_INVENTORY = """\
from operations.inventory import declare, hosts
from serving.cluster import Cluster

macs = hosts(declare(Cluster, **{declaration!r}))
"""


@contextmanager
def rack(*, keep: bool) -> Iterator[Scene]:
    """The Macs, deployed to; gone afterwards unless they are kept, and then found again."""
    lab = Lab(STATE)
    if not lab.is_up():
        machines = {f"mac-{n}": mac_studio(f"mac-{n}", f"10.75.0.{10 + n}") for n in range(1, 5)}
        assemble(STATE, Rack(machines, full_mesh(list(machines))))
    for name in lab.rack().machines:
        lab.wait_until_on(name)
    scene = Scene(lab, CLUSTER, _inventory(lab))
    try:
        deploy_again(scene, Place("a", 0))
        yield scene
    finally:
        if not keep:
            disassemble(STATE)
            control.forgotten(CLUSTER)


def _inventory(lab: Lab) -> Path:
    file = lab.state / "inventory.py"
    file.write_text(_INVENTORY.format(declaration=json.loads(json.dumps(declaration(lab)))))
    return file


def declaration(lab: Lab) -> dict[str, Any]:
    """What is declared of these Macs: the stand-ins' inventory at other addresses, without patience for a hang."""
    reach = {"ssh_user": "admin", "ssh_key": str(lab.key), "ssh_known_hosts_file": str(lab.known_hosts)}
    looks = {"chip": "Apple M3 Ultra", "memory_gb": 512}
    names = list(lab.rack().machines)
    return {
        "name": CLUSTER,
        "machines": [{"name": name, "address": lab.machine(name).address, **reach, **looks} for name in names],
        "links": [{"between": list(dict(cable.ends))} for cable in lab.rack().cables],
        "weights": [
            {"name": "cider-1", "path": str(PATH), "golden": {"question": GOLDEN_QUESTION, "answer": GOLDEN_ANSWER}}
        ],
        "replicas": [
            {
                "name": name,
                "machines": list(machines),
                "weights": "cider-1",
                "transport": "ring",
                "sharding": _TRANSPORTS[name],
                "context_tokens": 4096,
                "ready_within_seconds": 120,
            }
            for name, machines in REPLICAS.items()
        ],
        "gateway": {"machine": GATEWAY},
        # All replicas share two processors, so how fast one is says little of itself.
        "rolling": {"drain_seconds": 60, "least_speed": 0.25},
        "packet_filter": {"also_from": [f"{lab.files.address}/32"]},
        "python": {"kind": "system", "path": "/usr/local/bin/python3"},
    }
