"""Which rank of a pipeline holds how many of the weights' layers. Pure, but for one look at the weights' own config.

mlx-lm (0.32.2) numbers the pipeline backwards: the last rank holds the first layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.declared import Replica
from serving.errors import LayersRefused


def split(replica: Replica, directory: Path, memory: Sequence[int]) -> tuple[int, ...] | None:
    """Layers of each rank of a replica, in rank order; None leaves the split to mlx-lm.

    `directory` holds the weights, `memory` is what each rank's machine has. Raises LayersRefused.
    """
    if replica.pipeline_layers == "even":
        return None
    layers = hidden_layers(directory)
    if replica.pipeline_layers == "by memory":
        return by_memory(replica, layers, memory)
    declared = sum(replica.pipeline_layers)
    if declared != layers:
        raise LayersRefused(
            f"cannot split '{replica.weights}' over replica '{replica.name}': pipeline_layers="
            f"{list(replica.pipeline_layers)} are {declared} layers, the weights have {layers}. "
            f"Correct pipeline_layers=, or declare 'by memory'."
        )
    return replica.pipeline_layers


def by_memory(replica: Replica, layers: int, memory: Sequence[int]) -> tuple[int, ...]:
    """The split that comes nearest to the machines' memory, with one layer for each rank at least."""
    if layers < len(memory):
        raise LayersRefused(
            f"cannot split '{replica.weights}' over replica '{replica.name}': the weights have {layers} layers for "
            f"{len(memory)} machines. Choose fewer machines."
        )
    if 0 in memory:
        raise LayersRefused(
            f"cannot split '{replica.weights}' over replica '{replica.name}' by memory: seen {list(memory)} GB, needed "
            "the memory of each machine. Declare memory_gb=."
        )
    return proportional(layers, memory)


def proportional(layers: int, shares: Sequence[int]) -> tuple[int, ...]:
    """The split of layers that comes nearest to the shares, with one layer for each at least."""
    whole = sum(shares)
    parts = [max(1, layers * share // whole) for share in shares]

    def lacks(rank: int) -> int:
        return layers * shares[rank] - parts[rank] * whole

    ranks = range(len(parts))
    while sum(parts) < layers:
        parts[max(ranks, key=lacks)] += 1
    while sum(parts) > layers:
        parts[min((rank for rank in ranks if parts[rank] > 1), key=lacks)] -= 1
    return tuple(parts)


def of_rank(layers: Sequence[int], rank: int) -> tuple[int, int]:
    """The first layer of a rank, and the first one after its last."""
    first = sum(layers[rank + 1 :])
    return first, first + layers[rank]


def hidden_layers(directory: Path) -> int:
    """How many layers weights have, by their own config.json. Raises LayersRefused when it does not tell."""
    config: Mapping[str, Any] = json.loads((directory / "config.json").read_text())
    layers = config.get("num_hidden_layers", config.get("text_config", {}).get("num_hidden_layers"))
    if not isinstance(layers, int):
        raise LayersRefused(
            f"cannot split the weights in {directory}: their config.json has no num_hidden_layers. "
            "Declare pipeline_layers='even'."
        )
    return layers
