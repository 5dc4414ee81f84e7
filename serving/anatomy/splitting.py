"""What the wheel makes of weights over several ranks: its own `shard()` carried out, and one step taken through it.

`shard()` passes weights that then fail on their first request: fewer KV heads than ranks (mlx-lm 0.32.2). So a split
counts as possible only when the graph of a prompt and of one token can be drawn for one rank; all of them
hold parts of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.anatomy import building, loading, stepping
from serving.anatomy.building import Array, Network
from serving.anatomy.loading import Part
from serving.anatomy.values import Tensor
from serving.errors import WeightsUnreadable


@dataclass(frozen=True)
class Place:
    """As much of MLX's group as splitting asks for: how many ranks, and which of them."""

    ranks: int
    number: int

    def size(self) -> int:
        """How many ranks."""
        return self.ranks

    def rank(self) -> int:
        """Which of them."""
        return self.number


def can_split_tensors(built: Network) -> bool:
    """Whether mlx-lm has a tensor split for these weights, by the question its loader asks."""
    return hasattr(built, "shard")


def can_split_layers(built: Network) -> bool:
    """Whether mlx-lm has a pipeline for these weights, by the question its loader asks."""
    return hasattr(built, "model") and hasattr(built.model, "pipeline")


def tensor(make: Callable[[], Network], ranks: int, whole_cache: int) -> Tensor:
    """A tensor split over `ranks` of the network that `make` makes; `whole_cache` is what one token adds unsplit."""
    built = make()
    if not can_split_tensors(built):
        return Tensor(ranks, refusal=f"mlx-lm has no tensor split for {_module(built)}")
    try:
        whole = building.arrays(built)
        part = _of_rank(built, Place(ranks, 0))
        return Tensor(ranks, loading_bytes=_loading(whole, part), **_stepped(part, whole_cache))
    except WeightsUnreadable as refusal:
        return Tensor(ranks, refusal=_reason(refusal))


def tensor_scratch(make: Callable[[], Network], ranks: int) -> dict[int, int]:
    """What reading prompts takes on one rank of a tensor split, by how many tokens are read at once."""
    return stepping.scratch_by_tokens(_of_rank(make(), Place(ranks, 0)))


def of_pipeline(make: Callable[[], Network], layers: tuple[int, ...], rank: int) -> int:
    """Bytes that one rank of a pipeline holds, `layers` for each rank in rank order."""
    built = make()
    with building.reading(f"a pipeline of {layers} layers"):
        built.model.pipeline(Place(len(layers), rank), split=list(layers))
    return sum(building.sizes(built).values())


def _loading(whole: list[tuple[str, Array]], part: Network) -> int:
    kept = dict(building.arrays(part))
    pairs = [(array, kept[name]) for name, array in whole if name in kept]
    return loading.excess(Part(all_.nbytes, all_.size, mine.nbytes, mine.size) for all_, mine in pairs)


def _of_rank(built: Network, place: Place) -> Network:
    with building.reading(f"a tensor split over {place.ranks} ranks"):
        built.shard(place)
    return building.bare(built)


def _stepped(built: Network, whole_cache: int) -> dict[str, Any]:
    with building.reading("one step of a split network"):
        _, recorded = stepping.step(built)
        kept = sum(cache.bytes_per_token for cache in stepping.kept_bytes(built))
    share = kept / whole_cache if whole_cache else 1
    held = sum(building.sizes(built).values())
    return {"bytes": held, "cache_share": share, "collectives": recorded.collectives.total()}


def _reason(refusal: WeightsUnreadable) -> str:
    cause = refusal.__cause__
    return str(cause).splitlines()[0] if cause is not None and str(cause) else type(cause).__name__


def _module(built: Network) -> str:
    return type(built).__module__.rpartition(".")[2]
