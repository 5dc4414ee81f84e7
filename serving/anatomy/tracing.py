"""The work of one step, counted from the graph that MLX would run, without running it.

Four kinds of functions of MLX are swapped while a graph is recorded. The kernels of `mx.fast` are one kernel each on a
Mac but many on a CPU, so each becomes one node. Collectives of `mx.distributed` become counted no-ops, so that a split
network can be stepped through by itself. Attention is noted with its shapes. Functions with
gradients of their own lose them. MLX 0.32.4.

Reading, reshaping and slicing start no kernel; everything else in the graph starts one, and what `mx.compile` fuses is
one node already.
"""

from __future__ import annotations

import importlib
import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# MLX carries few types.
mx: Any = importlib.import_module("mlx.core")
Array = Any
"""One of MLX's arrays."""

VIEWS = frozenset(
    (
        *("AsStrided", "Broadcast", "BroadcastAxes", "Contiguous", "Copy", "Depends", "ExpandDims", "Flatten"),
        *("NumberOfElements", "Reshape", "Slice", "Split", "Squeeze", "StopGradient", "Transpose", "Unflatten", "View"),
    )
)
"""Primitives that start no kernel."""

_LABEL = re.compile(r'\[label ="(\w+)"')
_PRODUCTS = ("Matmul", "QuantizedMatmul", "AddMM", "GatherMM", "GatherQMM", "BlockMaskedMM", "QQMatmul")
_COLLECTIVES = ("all_sum", "all_gather", "all_max", "all_min", "sum_scatter")
_FUSED_WIDTHS = (64, 80, 96, 128, 256)
_UNFUSED_KERNELS = 5
"""Scale, product, mask, softmax, product."""


@dataclass(frozen=True)
class Attention:
    """One use of attention: heads that ask, heads that are kept, and the widths of a key and a value."""

    heads: int
    kept_heads: int
    key_width: int
    value_width: int


@dataclass
class Recorded:
    """What was noted while a graph was recorded."""

    attentions: list[Attention] = field(default_factory=list[Attention])
    collectives: Counter[str] = field(default_factory=Counter[str])


@contextmanager
def recording() -> Generator[Recorded, None, None]:
    """Swap MLX's functions as told above for as long as the block lasts."""
    recorded = Recorded()
    swapped: list[tuple[Any, str, Any]] = []

    def swap(owner: Any, name: str, function: Callable[..., Any]) -> None:
        if hasattr(owner, name):
            swapped.append((owner, name, getattr(owner, name)))
            setattr(owner, name, function)

    for name in ("rms_norm", "layer_norm", "rope"):
        swap(mx.fast, name, _one_kernel)
    swap(mx, "custom_function", _Plain)
    swap(mx.fast, "scaled_dot_product_attention", _attention(recorded))
    for name in _COLLECTIVES:
        swap(mx.distributed, name, _counted(recorded, name))
    try:
        yield recorded
    finally:
        for owner, name, function in reversed(swapped):
            setattr(owner, name, function)


class _Plain:
    """A function of its own gradient, without it: the exporter of graphs knows none of those (MLX 0.32.4)."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def vjp(self, _: Callable[..., Any]) -> _Plain:
        """As MLX's own decorator: the function stays what it is."""
        return self

    jvp = vmap = vjp


def _one_kernel(x: Array, *_: Any, **__: Any) -> Array:
    return mx.erfinv(x)  # any kernel that no network uses


def _counted(recorded: Recorded, name: str) -> Callable[..., Array]:
    def same(x: Array, *_: Any, **__: Any) -> Array:
        recorded.collectives[name] += 1
        return x

    return same


def _is_fused(key_width: int, value_width: int) -> bool:
    """Whether MLX has one kernel for attention of this width, in `sdpa_vector` or `sdpa_full` (0.32.4)."""
    return key_width == value_width and key_width in _FUSED_WIDTHS


def _attention(recorded: Recorded) -> Callable[..., Array]:
    def attend(q: Array, k: Array, v: Array, **_: Any) -> Array:
        if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
            raise ValueError(f"{q.shape[1]} query heads cannot share {k.shape[1]} kept heads")
        recorded.attentions.append(Attention(q.shape[1], k.shape[1], q.shape[3], v.shape[3]))
        shape = (*q.shape[:3], v.shape[3])
        whole = mx.depends([q], [k, v])[0]
        for _kernel in range(1 if _is_fused(q.shape[3], v.shape[3]) else _UNFUSED_KERNELS):
            whole = _one_kernel(whole)
        return mx.broadcast_to(whole[..., :1], shape)

    return attend


def launches(*results: Array) -> int:
    """How many kernels it takes to get from arrays that are there to these."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "graph"
        mx.export_to_dot(str(path), *results)
        return sum(1 for label in _LABEL.findall(path.read_text()) if label not in VIEWS)


@dataclass(frozen=True)
class Product:
    """One multiplication of matrices: rows of the result, its columns, what was summed over, and whose parts."""

    rows: int
    columns: int
    summed: int
    by_expert: bool

    @property
    def flops(self) -> float:
        """Floating point operations."""
        return 2.0 * self.rows * self.columns * self.summed


def graph(function: Callable[[Array], Any], tokens: int) -> list[dict[str, Any]]:
    """The graph of a function of tokens, as MLX's exporter tells it: every primitive, with names, shapes and types."""
    events: list[dict[str, Any]] = []
    mx.export_function(events.append, function, mx.zeros((1, tokens), mx.int32))
    return events


def products(events: Sequence[dict[str, Any]]) -> list[Product]:
    """Every multiplication of matrices in a graph."""
    steps = [event for event in events if event["type"] == "primitive" and event["name"] in _PRODUCTS]
    shapes = [(step["outputs"][0][1], step["inputs"][0][1], step["name"]) for step in steps]
    return [Product(math.prod(out[:-1]), out[-1], first[-1], name.startswith("Gather")) for out, first, name in shapes]
