"""Four stand-in Macs on this Linux machine: the same declaration, the same deploy, over real SSH.

    uv run pyinfra -y inventories/standin.py deploy.py

They are brought up when they aren't. Two things differ from a lab of Macs, and both are declared: the transport is
TCP, because these CPUs have no RDMA to send over, and Python is the one already on the machines.
"""

from operations.inventory import declare, hosts
from serving.cluster import Cluster
from tests.standin.lab import for_inventory
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

_lab = for_inventory()
_reach = {"ssh_user": "admin", "ssh_key": str(_lab.key), "ssh_known_hosts_file": str(_lab.known_hosts)}
_is = {"chip": "Apple M3 Ultra", "memory_gb": 512}

cluster = declare(
    Cluster,
    name="standin",
    machines=[
        {"name": "mac-1", "address": "10.77.0.11", **_reach, **_is},
        {"name": "mac-2", "address": "10.77.0.12", **_reach, **_is},
        {"name": "mac-3", "address": "10.77.0.13", **_reach, **_is},
        {"name": "mac-4", "address": "10.77.0.14", **_reach, **_is},
    ],
    links=[
        {"between": ["mac-1", "mac-2"]},
        {"between": ["mac-1", "mac-3"]},
        {"between": ["mac-1", "mac-4"]},
        {"between": ["mac-2", "mac-3"]},
        {"between": ["mac-2", "mac-4"]},
        {"between": ["mac-3", "mac-4"]},
    ],
    weights=[
        {
            "name": "cider-1",
            "path": str(PATH),
            "golden": {"question": GOLDEN_QUESTION, "answer": GOLDEN_ANSWER},
        }
    ],
    replicas=[
        {
            "name": "a",
            "machines": ["mac-1", "mac-2"],
            "weights": "cider-1",
            "transport": "ring",
            "sharding": "tensor",
            "context_tokens": 4096,
            "slots": 8,
            "ready_within_seconds": 120,
        },
        {
            "name": "b",
            "machines": ["mac-3", "mac-4"],
            "weights": "cider-1",
            "transport": "ring",
            "sharding": "pipeline",
            "context_tokens": 4096,
            "slots": 8,
            "ready_within_seconds": 120,
        },
    ],
    gateway={"machine": "mac-1"},
    # All of them share the processors of one machine, so how fast one is says little of itself.
    rolling={"drain_seconds": 60, "least_speed": 0.25},
    # This machine asks the agents themselves, in tests.
    packet_filter={"also_from": [f"{_lab.files.address}/32"]},
    python={"kind": "system", "path": "/usr/local/bin/python3"},
)

macs = hosts(cluster)
