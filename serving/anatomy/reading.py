"""Weights read into their anatomy, from a directory, a `config.json`, or bare dimensions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from serving.anatomy import building, splitting, stepping
from serving.anatomy.building import Network
from serving.anatomy.dimensions import completed
from serving.anatomy.quantising import FULL, Quantisation
from serving.anatomy.speech import speech
from serving.anatomy.tracing import Attention, Product
from serving.anatomy.values import Anatomy, Cache, Layer, Speech, Tensor, Work
from serving.errors import WeightsUnreadable

_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")
_PROMPT = 256
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Source:
    """Weights by name, and how to make mlx-lm's network of them anew."""

    name: str
    make: Callable[[], Network]
    quantisation: str
    notes: tuple[str, ...] = ()
    least_launches: int = 0
    """Kernels of one token by a table of dimensions, which may know what a guessed kind lacks."""
    speech: Callable[[], Speech] | None = None
    """How to look at their tokenizer; None where there is none to look at."""
    lighter: Callable[[Quantisation], Source] | None = None
    """The same weights quantised; None where they are already."""

    @property
    def is_full(self) -> bool:
        """Whether they can still be quantised."""
        return self.lighter is not None

    def at(self, quantisation: Quantisation) -> Source:
        """The same weights quantised. Raises WeightsUnreadable."""
        if self.lighter is None:
            raise WeightsUnreadable(f"cannot quantise '{self.name}': seen {self.quantisation}, needed 16 bits.")
        return self.lighter(quantisation)

    @cached_property
    def whole(self) -> Anatomy:
        """The anatomy without any tensor split."""
        anatomy = _anatomy(self)
        return anatomy if self.speech is None else replace(anatomy, speech=self.speech())

    @cached_property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(building.sizes(self.make()).values())

    def anatomy(self, ranks: Iterable[int] = (), *, memory: bool = True) -> Anatomy:
        """The anatomy, with tensor splits over so many ranks looked at; without `memory` nothing of scratch.

        Raises WeightsUnreadable.
        """
        splits = {count: self.tensor(count) for count in sorted({*ranks}) if count > 1}
        if not memory:
            return replace(self.whole, tensor=splits)
        known = {
            count: replace(each, scratch=self.scratch(count)) for count, each in splits.items() if not each.refusal
        }
        return replace(self.whole, tensor=splits | known, scratch=self.scratch(1))

    @cache  # noqa: B019  # a source lives as long as the command that reads it
    def tensor(self, ranks: int) -> Tensor:
        """What a tensor split over so many ranks makes of them."""
        return splitting.tensor(self.make, ranks, sum(layer.cache.bytes_per_token for layer in self.whole.layers))

    @cache  # noqa: B019  # as above
    def scratch(self, ranks: int) -> dict[int, int]:
        """What reading prompts takes beside weights and caches, on one rank of so many."""
        return splitting.tensor_scratch(self.make, ranks) if ranks > 1 else stepping.scratch_by_tokens(self.make())


def from_config(
    config: Mapping[str, Any],
    name: str,
    quantisation: Quantisation | None = None,
    tensors: frozenset[str] = frozenset(),
) -> Source:
    """Weights of a `config.json` or of bare dimensions; `quantisation` is for those that say nothing of their own."""
    whole, notes = completed(config)
    declared = _declared(whole)
    said = declared or str(quantisation or FULL)
    full = declared is None and (quantisation or FULL).bits is None

    def lighter(other: Quantisation) -> Source:
        return from_config(config, name, other)

    make = partial(building.network, whole, quantisation, tensors)
    stated = 0 if "model_type" in config else config.get("dispatch_per_layer", 0) * config.get("num_hidden_layers", 0)
    return Source(name, make, said, notes, stated, lighter=lighter if full else None)


def from_directory(directory: Path, quantisation: Quantisation | None = None) -> Source:
    """Weights of a directory that holds a `config.json`, and their index or their headers where they are there.

    With a quantisation they are what becomes of them when they are quantised so.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise WeightsUnreadable(
            f"cannot read the weights in {directory}: seen no config.json, needed the one they came with. "
            "Correct the path."
        )
    config, speaking = object_in(path), partial(speech, directory)
    if quantisation is not None and (own := _declared(config)):
        raise WeightsUnreadable(f"cannot quantise the weights in {directory}: seen {own}, needed 16 bits.")
    if quantisation is None and any(directory.glob("model*.safetensors")):
        said = _declared(config) or str(FULL)
        return Source(directory.name, partial(building.on_disk, directory), said, speech=speaking)
    index = directory / INDEX
    tensors = frozenset(object_in(index)["weight_map"]) if index.is_file() else frozenset[str]()
    return replace(from_config(config, directory.name, quantisation, tensors), speech=speaking)


def object_in(path: Path) -> dict[str, Any]:
    """The one object of a JSON file. Raises WeightsUnreadable."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsUnreadable(f"cannot read {path}: {error}. Needed: a JSON object.") from error
    if not isinstance(found, dict):
        raise WeightsUnreadable(f"cannot read {path}: seen {type(found).__name__}, needed a JSON object.")
    return found  # pyright: ignore[reportUnknownVariableType]  # keys of JSON objects are strings


def _declared(config: Mapping[str, Any]) -> str | None:
    declared = config.get("quantization")
    if not declared:
        return None
    return str(Quantisation(declared["bits"], declared["group_size"], declared.get("mode", "affine")))


def _anatomy(source: Source) -> Anatomy:
    built = source.make()
    sizes, experts, counts = building.sizes(built), building.expert_tensors(built), building.parameter_counts(built)
    with building.reading(f"one step of {source.name}"):
        launched, recorded = stepping.step(built)
        kept = stepping.kept_bytes(built)
        decoded, _ = stepping.prompt_products(built, 1)
        products, read = stepping.prompt_products(built, _PROMPT)
    chosen = max((product.rows for product in decoded if product.by_expert), default=0)
    total = _experts(built, experts)
    outside = {name: size for name, size in sizes.items() if not _LAYER.search(name)}
    embedding = sum(size for name, size in outside.items() if "embed" in name)
    tied = not any("lm_head" in name for name in outside)
    skipped = sum(counts[name] for name in outside if "embed" in name) if not tied else 0
    idle = sum(counts[name] for name in experts) * (1 - chosen / total) if total else 0.0
    return Anatomy(
        name=source.name,
        kind=type(built).__module__.rpartition(".")[2],
        parameters=sum(counts.values()),
        active_parameters=sum(counts.values()) - skipped - idle,
        layers=tuple(_layers(sizes, experts, kept, recorded.attentions, read.attentions)),
        outside_bytes=sum(outside.values()),
        read_outside_bytes=sum(outside.values()) - (0 if tied else embedding),
        hidden=_hidden(built),
        vocabulary=_vocabulary(built),
        largest_tensor_bytes=max(sizes.values()),
        experts=total,
        experts_per_token=chosen,
        work=_work(max(launched, source.least_launches), stepping.handed_over(built), products, _vocabulary(built)),
        scratch={},
        pipeline=splitting.can_split_layers(built),
        quantisation=source.quantisation,
        notes=(*source.notes, *_unproven(kept, len(recorded.attentions))),
    )


def _layers(
    sizes: Mapping[str, int],
    experts: frozenset[str],
    kept: list[Cache],
    attentions: list[Attention],
    prompt: list[Attention],
) -> list[Layer]:
    numbered: dict[int, list[str]] = {}
    for name in sizes:
        if numbering := _LAYER.search(name):
            numbered.setdefault(int(numbering[1]), []).append(name)
    found: list[Layer] = []
    for place, (_, names) in enumerate(sorted(numbered.items())):
        cache = kept[place] if place < len(kept) else Cache(0)
        # Attention is noted in the order of layers; where some have none, the last one known stands for them.
        decoded = attentions[min(place, len(attentions) - 1)] if attentions and cache.bytes_per_token else None
        read = prompt[min(place, len(prompt) - 1)] if prompt and decoded is not None else None
        found.append(
            Layer(
                bytes=sum(sizes[name] for name in names),
                expert_bytes=sum(sizes[name] for name in names if name in experts),
                cache=_attended(cache, decoded, read),
                attention_width=read.heads * (read.key_width + read.value_width) if read else 0,
            )
        )
    return found


def _attended(cache: Cache, decoded: Attention | None, read: Attention | None) -> Cache:
    """A cache with what was seen of the attention that reads it."""
    if decoded is None:
        return cache
    known = replace(cache, readers=decoded.heads / decoded.kept_heads, heads=decoded.kept_heads)
    if read is None or decoded.kept_heads != 1 or read.kept_heads == 1:
        return known
    # A latent is kept with a part for positions beside it, which every head's own key would have as well.
    positions = cache.bytes_per_token // 2 - decoded.key_width
    return replace(known, expanded_bytes=2 * read.heads * (read.key_width + positions + read.value_width))


def _work(launched: int, handed: int, products: list[Product], vocabulary: int) -> Work:
    layers = [product for product in products if product.columns != vocabulary]
    return Work(
        launches=launched,
        command_buffers=handed,
        flops_per_token=sum(product.flops for product in layers) / _PROMPT,
        expert_flops_per_token=sum(product.flops for product in layers if product.by_expert) / _PROMPT,
    )


def _experts(built: Network, names: frozenset[str]) -> int:
    arrays = dict(building.arrays(built))
    return max((arrays[name].shape[0] for name in names if name.endswith("weight")), default=0)


def _vocabulary(built: Network) -> int:
    return stepping.logits_width(built)


def _hidden(built: Network) -> int:
    arrays = dict(building.arrays(built))
    norm = next(
        (array for name, array in arrays.items() if name.endswith("norm.weight") and not _LAYER.search(name)), None
    )
    return norm.shape[-1] if norm is not None else max(array.shape[-1] for array in arrays.values() if array.ndim == 1)


def _unproven(kept: list[Cache], attentions: int) -> tuple[str, ...]:
    notes: list[str] = []
    if attentions < len(kept) or any(cache.fixed_bytes > 1 << 20 for cache in kept):
        notes.append("some layers are not plain attention; speeds of such hybrids are not validated")
    return tuple(notes)
