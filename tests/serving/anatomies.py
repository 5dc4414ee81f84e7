"""Weights of any size as plain values, and replicas that serve them, decided as a deploy does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.anatomy.values import Anatomy, Cache, Layer, Tensor, Work
from serving.cluster import Cluster
from serving.placement.declared import Placed, placed
from serving.seen import Problem, Seen
from tests.serving.labs import all_well

GIB = 2**30


def anatomy(size: int = 20 * GIB, layers: int = 12, **changes: Any) -> Anatomy:
    """Weights of so many bytes, all of them in equal layers, which mlx-lm can split in every way."""
    cache = Cache(bytes_per_token=4096, heads=8)
    told: dict[str, Any] = {
        "name": "w",
        "kind": "llama",
        "parameters": size / 2,
        "active_parameters": size / 2,
        "layers": (Layer(size // layers, 0, cache),) * layers,
        "outside_bytes": 0,
        "read_outside_bytes": 0,
        "hidden": 8192,
        "vocabulary": 32000,
        "largest_tensor_bytes": 2**20,
        "experts": 0,
        "experts_per_token": 0,
        "work": Work(launches=12 * layers, command_buffers=layers, flops_per_token=size, expert_flops_per_token=0),
        "scratch": {},
        "pipeline": True,
        "tensor": {n: Tensor(n, size // n, 1 / n, collectives=2 * layers) for n in range(2, 9)},
    }
    return Anatomy(**{**told, **changes})


def decided(
    cluster: Cluster, seen: Mapping[str, Seen] | None = None, weights: Anatomy | Problem | None = None
) -> dict[str, Placed | Problem]:
    """Every replica of a cluster, all of whose weights are these."""
    known = dict.fromkeys((each.name for each in cluster.weights), weights or anatomy())
    return placed(cluster, all_well() if seen is None else seen, known)
