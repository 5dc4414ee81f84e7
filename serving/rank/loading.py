"""How mlx-lm loads and holds the weights on this rank, where the declaration says more than its command line can.

mlx-lm 0.32.2 can split a pipeline unevenly, but neither its command line nor sharded_load passes a split on; types with
a way of their own (kimi_k3) don't take one. It wires the weights into memory in three modules that have imported the
function by name; never doing so was seen to avoid kernel panics under many requests at once (mlx issue 3186).
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from serving.configuration import ReplicaConfiguration
from serving.errors import LayersRefused
from serving.layers import of_rank
from serving.rank.status import StatusFile

_server: Any = importlib.import_module("mlx_lm.server")
_trees: Any = importlib.import_module("mlx.utils")
_mixin: Any = importlib.import_module("mlx_lm.models.pipeline").PipelineMixin
_WIRING = ("mlx_lm.utils", "mlx_lm.generate", "mlx_lm.server")


def load_as_declared(replica: ReplicaConfiguration, status: StatusFile) -> None:
    """Have mlx-lm's server, which is yet to start, load the weights as declared, and tell what it holds."""
    if replica.wired_limit is None:
        for name in _WIRING:
            module: Any = importlib.import_module(name)
            module.maybe_set_recommended_wired_limit = _leave_the_limit
    if replica.layers is not None:
        _split(replica.layers)
    _server.ModelProvider = partial(_Provider, replica, status)


def _leave_the_limit() -> None:
    """In place of setting it: None is mlx-lm's own word for a machine that has no such limit."""


def _split(layers: Sequence[int]) -> None:
    evenly = _mixin.pipeline

    def pipeline(self: Any, group: Any, split: Sequence[int] | None = None) -> None:
        evenly(self, group, split=split or layers)

    _mixin.pipeline = pipeline


class _Provider(_server.ModelProvider):
    def __init__(self, replica: ReplicaConfiguration, status: StatusFile, args: Any) -> None:
        self._replica = replica
        self._status = status
        super().__init__(args)

    def _load(self, *paths: Any) -> None:
        super()._load(*paths)
        held = None
        if self.pipeline_group is not None:
            held = self.model.model.start_idx, self.model.model.end_idx
            _compare(self._replica, held)
        arrays = _trees.tree_flatten(self.model.parameters())
        self._status.report(layers=held, weights_bytes=sum(array.nbytes for _, array in arrays))


def _compare(replica: ReplicaConfiguration, held: tuple[int, int]) -> None:
    """Raises LayersRefused when mlx-lm took no notice of the declared split."""
    needed = held if replica.layers is None else of_rank(replica.layers, replica.rank)
    if held != needed:
        raise LayersRefused(
            f"cannot give {replica.layers} layers to the ranks of replica '{replica.name}': mlx-lm holds layers "
            f"{_range(held)} on rank {replica.rank}, needed {_range(needed)}. It splits '{replica.weights}' in its own "
            "way only; declare pipeline_layers='even'."
        )


def _range(held: tuple[int, int]) -> str:
    return f"{held[0]} to {held[1] - 1}"
