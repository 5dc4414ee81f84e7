"""This Mac alone: one replica of one rank, and the gateway, for programs on this Mac.

    uv run pyinfra inventories/local.py deploy.py

`lab.py` explains every field.
"""

from operations.inventory import declare, hosts
from serving.cluster import Cluster

cluster = declare(
    Cluster,
    name="local",
    machines=[{"name": "this-mac", "address": "127.0.0.1", "via": "local"}],
    thunderbolt={"rdma": None},
    weights=[
        {
            "name": "qwen3-4b-instruct-8bit",
            "path": "/Users/Shared/weights/Qwen3-4B-Instruct-2507-8bit",
            "golden": {"question": "What is the capital of France? Answer with one word.", "answer": "Paris"},
        }
    ],
    replicas=[{"name": "a", "machines": ["this-mac"], "weights": "qwen3-4b-instruct-8bit"}],
    gateway={"machine": "this-mac"},
)

macs = hosts(cluster)
