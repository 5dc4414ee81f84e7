"""What each Mac was found to be, in words for a person."""

from __future__ import annotations

from collections.abc import Mapping

from serving.cabling import cables
from serving.cluster import Cluster
from serving.seen import Mac, Problem, Rdma, Seen

COLUMNS = ("Mac", "is", "memory", "macOS", "RDMA", "cables", "serves")


def rows(cluster: Cluster, seen: Mapping[str, Seen]) -> list[tuple[str, ...]]:
    """One row per machine under COLUMNS."""
    return [(name, *_identity(seen[name].mac), *_fabric(cluster, seen, name), _serves(cluster, name)) for name in seen]


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
