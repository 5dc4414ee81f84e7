"""The same Macs as an inventory of pyinfra's and as one of Ansible's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.standin.lab import Lab
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

CLUSTER = "benchmark"
_INVENTORY = """\
from operations.inventory import declare, hosts
from serving.cluster import Cluster

macs = hosts(declare(Cluster, **{declaration!r}))
"""


def for_pyinfra(lab: Lab, names: Sequence[str]) -> Path:
    """An inventory file that declares these Macs: a replica and the gateway on the first one, nothing on the others."""
    file = lab.state / f"{len(names)}-macs.py"
    file.write_text(_INVENTORY.format(declaration=declaration(lab, names)))
    return file


def declaration(lab: Lab, names: Sequence[str]) -> dict[str, Any]:
    """What is declared of these Macs."""
    reach = {"ssh_user": "admin", "ssh_key": str(lab.key), "ssh_known_hosts_file": str(lab.known_hosts)}
    looks = {"chip": "Apple M3 Ultra", "memory_gb": 512}
    return {
        "name": CLUSTER,
        "machines": [{"name": name, "address": lab.machine(name).address, **reach, **looks} for name in names],
        "thunderbolt": {"rdma": None},
        "weights": [
            {"name": "cider-1", "path": str(PATH), "golden": {"question": GOLDEN_QUESTION, "answer": GOLDEN_ANSWER}}
        ],
        "replicas": [{"name": "a", "machines": [names[0]], "weights": "cider-1", "context_tokens": 4096}],
        "gateway": {"machine": names[0]},
        "packet_filter": {"also_from": [f"{lab.files.address}/32"]},
        "python": {"kind": "system", "path": "/usr/local/bin/python3"},
    }


def for_ansible(lab: Lab, names: Sequence[str], variables: dict[str, dict[str, Any]]) -> Path:
    """An inventory file of the same Macs, with what the checks compare."""
    file = lab.state / "ansible.json"
    hosts = {name: {"ansible_host": lab.machine(name).address, **variables[name]} for name in names}
    file.write_text(json.dumps({"macs": {"hosts": hosts}}, indent=1))
    return file
