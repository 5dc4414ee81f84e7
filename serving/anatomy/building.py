"""mlx-lm's own class for a `config.json`, built with arrays that have shapes and no bytes.

Every parameter becomes a view of one zero, so that a network of 671 billion parameters takes no more memory than its
names. What is in a directory of weights is read by mlx-lm's own loader, which reads the headers of safetensors only.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.anatomy.quantising import Quantisation
from serving.errors import WeightsUnreadable

# MLX and mlx-lm carry few types.
mx: Any = importlib.import_module("mlx.core")
nn: Any = importlib.import_module("mlx.nn")
trees: Any = importlib.import_module("mlx.utils")
utils: Any = importlib.import_module("mlx_lm.utils")
switch_layers: Any = importlib.import_module("mlx_lm.models.switch_layers")

Array = Any
"""One of MLX's arrays."""

Network = Any
"""One of mlx-lm's `Model`s; they have no common class of their own."""


def network(config: Mapping[str, Any], quantisation: Quantisation | None, tensors: frozenset[str]) -> Network:
    """A network without bytes. `quantisation` is for weights that say nothing of their own.

    `tensors` are the names in their index, empty where there is none. Raises WeightsUnreadable.
    """
    name = config.get("model_type")
    with reading(f"a network of type {name}"):
        model_class, arguments = utils._get_classes(dict(config))
        built = model_class(arguments.from_dict(dict(config)))
        built.set_dtype(getattr(mx, str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")))
        declared = config.get("quantization")
        if declared:
            _as_declared(built, declared, tensors)
        elif quantisation is not None and quantisation.bits is not None:
            _as_converted(built, dict(config), quantisation)
    return bare(built)


def on_disk(directory: Path) -> Network:
    """The network of a directory that holds weights, by mlx-lm's own loader, without their bytes."""
    with reading(f"the weights in {directory}"):
        loaded, _ = utils.load_model(directory, lazy=True, strict=False)
    return bare(loaded)


class reading(contextlib.ContextDecorator, contextlib.AbstractContextManager["reading", None]):  # noqa: N801
    """Turns whatever mlx-lm says of a config it cannot build into WeightsUnreadable, and keeps its prints quiet."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.quiet = contextlib.redirect_stdout(io.StringIO())

    def __enter__(self) -> reading:
        self.quiet.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self.quiet.__exit__(kind, error, trace)
        if isinstance(error, Exception):
            seen = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsUnreadable(
                f"cannot build {self.what}: {seen}. Needed: a config.json that the installed mlx-lm can run."
            ) from error


def bare(built: Network) -> Network:
    """The same network, each array a view of one zero."""
    views = trees.tree_map(_view, built.parameters())
    mx.eval(views)
    built.update(views)
    return built


def _view(array: Array) -> Array:
    return mx.broadcast_to(mx.zeros((), array.dtype), array.shape)


def arrays(built: Network) -> list[tuple[str, Array]]:
    """Every tensor, with its name."""
    return trees.tree_flatten(built.parameters())


def sizes(built: Network) -> dict[str, int]:
    """Bytes of every tensor, by its name."""
    return {name: array.nbytes for name, array in arrays(built)}


def expert_tensors(built: Network) -> frozenset[str]:
    """The names of tensors that hold one part for each expert."""
    prefixes = [f"{path}." for path, module in built.named_modules() if _is_switch(module)]
    return frozenset(name for name in sizes(built) if name.startswith(tuple(prefixes))) if prefixes else frozenset()


def parameter_counts(built: Network) -> dict[str, int]:
    """How many parameters each tensor stands for; scales and biases of quantised ones stand for none."""
    counts: dict[str, int] = {}
    for path, module in _leaves(built):
        bits = getattr(module, "bits", None)
        for name, array in trees.tree_flatten(module.parameters()):
            full = f"{path}.{name}" if path else name
            packed = bits is not None and name == "weight"
            dropped = bits is not None and name in ("scales", "biases")
            counts[full] = 0 if dropped else array.size * 32 // bits if packed else array.size
    return counts


def _leaves(built: Network) -> list[tuple[str, Network]]:
    found = trees.tree_flatten(built.leaf_modules(), is_leaf=nn.Module.is_module)
    return [(path, module) for path, module in found if isinstance(module, nn.Module)]


def _is_switch(module: object) -> bool:
    return isinstance(module, (switch_layers.SwitchLinear, switch_layers.QuantizedSwitchLinear))


def _as_declared(built: Network, declared: Mapping[str, Any], tensors: frozenset[str]) -> None:
    """As mlx-lm's loader does: what the config names by path, then what has scales in the index."""

    def wanted(path: str, module: Network) -> bool | dict[str, Any]:
        if path in declared:
            return declared[path]
        if not hasattr(module, "to_quantized") or module.weight.shape[-1] % declared["group_size"]:
            return False
        return f"{path}.scales" in tensors if tensors else True

    mode = declared.get("mode", "affine")
    nn.quantize(built, declared["group_size"], declared["bits"], mode=mode, class_predicate=wanted)


def _as_converted(built: Network, config: dict[str, Any], quantisation: Quantisation) -> None:
    """As `mlx_lm.convert` would; where experts and the rest differ, each gets its own."""
    if quantisation.rest is None:
        utils.quantize_model(built, config, quantisation.group, quantisation.bits, quantisation.mode)
        return

    for part, experts in ((quantisation, True), (quantisation.rest, False)):
        if part.bits is not None:
            _quantise(built, part, experts=experts)


def _quantise(built: Network, part: Quantisation, *, experts: bool) -> None:
    def wanted(_: str, module: Network) -> bool:
        if _is_switch(module) != experts or not hasattr(module, "to_quantized"):
            return False
        return module.weight.shape[-1] % part.group == 0

    nn.quantize(built, part.group, part.bits, mode=part.mode, class_predicate=wanted)
