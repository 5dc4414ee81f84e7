"""What each Mac was found to be, in words for a person."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from serving.cabling import cables
from serving.cluster import Cluster
from serving.seen import Mac, Problem, Rdma, Seen

K = TypeVar("K")

COLUMNS = ("Mac", "is", "memory", "macOS", "RDMA", "cables", "serves")


def rows(cluster: Cluster, seen: Mapping[str, Seen]) -> list[tuple[str, ...]]:
    """One row per machine under COLUMNS."""
    names = [machine.name for machine in cluster.machines if machine.name in seen]
    return [(name, *_identity(seen[name].mac), *_fabric(cluster, seen, name), _serves(cluster, name)) for name in names]


def _identity(mac: Mac | Problem) -> tuple[str, str, str]:
    if isinstance(mac, Problem):
        return "cannot tell", "", ""
    return f"{mac.chip} ({mac.model})", f"{mac.memory_gb} GB", f"{mac.macos} ({mac.build})"


def _fabric(cluster: Cluster, seen: Mapping[str, Seen], name: str) -> tuple[str, str]:
    rdma = seen[name].rdma
    mine = [cable for cable in cables(cluster, seen) if name in cable.link.between]
    speeds = [
        port.speed
        for cable in mine
        for end, port in zip(cable.link.between, cable.ports, strict=True)
        if port and end == name
    ]
    found = ", ".join(f"{speeds.count(speed)} at {speed}" for speed in sorted(set(speeds)))
    return rdma.status if isinstance(rdma, Rdma) else "cannot tell", found or ("none" if mine else "none declared")


def _serves(cluster: Cluster, name: str) -> str:
    replica = cluster.replica_of(name)
    door = "the gateway" if cluster.gateway.machine == name else ""
    rank = f"rank {replica.machines.index(name)} of replica {replica.name}" if replica else ""
    return ", ".join(filter(None, (rank, door)))


def endpoint(cluster: Cluster, file: Path) -> str:
    """Where the endpoint is, where its key is, and a line to try it with; `file` is what clients source."""
    served = sorted({replica.weights for replica in cluster.replicas})
    return f"""
The endpoint is {base_url(cluster)}/v1 and serves {", ".join(served)}.
The key is in {file}, with what OpenAI and Anthropic clients want to know. Try it:

source {file} && {_curl(cluster)}
"""


def _curl(cluster: Cluster) -> str:
    weights = cluster.weights_of(cluster.replicas[0])
    question = {"role": "user", "content": weights.golden.question}
    body = json.dumps({"model": weights.name, "messages": [question]})
    return " ".join(
        (
            'curl -s "$OPENAI_BASE_URL/chat/completions"',
            '-H "Authorization: Bearer $OPENAI_API_KEY"',
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(body)}",
        )
    )


def variables(cluster: Cluster, key: K) -> dict[str, str | K]:
    """What clients read from their environment; the key may be wrapped."""
    return {
        "OPENAI_BASE_URL": f"{base_url(cluster)}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": base_url(cluster),
        "ANTHROPIC_AUTH_TOKEN": key,
    }


def base_url(cluster: Cluster) -> str:
    """The gateway's own address."""
    return f"http://{cluster.machine(cluster.gateway.machine).address}:{cluster.gateway.port}"
