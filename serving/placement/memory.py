"""What one rank needs in memory, and whether its machine can give it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serving.anatomy.values import Anatomy, Layer
from serving.placement.chips import Machine
from serving.placement.speed import PROMPT_STEP, Setting, even

MARGIN = 0.10
"""Kept free of what a GPU may wire: long runs near the limit were seen to end, and to take Macs down."""

_SYSTEM_MB, _SYSTEM_SHARE = 8192, 16


@dataclass(frozen=True)
class Need:
    """Bytes of one rank: its weights, what it keeps of conversations, and what it works with."""

    weights: int
    cache: int
    scratch: int

    @property
    def total(self) -> int:
        """What is there at the peak."""
        return self.weights + self.cache + self.scratch


def needs(setting: Setting, context: int, slots: int) -> list[Need]:
    """What every rank needs for `slots` conversations of `context` tokens each."""
    weights = setting.weights
    if setting.sharding == "tensor":
        return [_of_tensor(weights, setting.ranks, context, slots)] * setting.ranks
    if setting.sharding == "pipeline":
        return _of_pipeline(setting, context, slots)
    return [_need(weights.layers, weights.outside_bytes, _scratch(weights.scratch, context), context, slots)]


def room(machine: Machine) -> int:
    """What a rank may need on a machine."""
    return int(machine.usable_bytes * (1 - MARGIN))


def largest_limit_mb(memory_bytes: int) -> int:
    """The highest wired limit that leaves macOS what it needs: with less, watchdog panics were seen."""
    memory_mb = memory_bytes // 2**20
    return memory_mb - max(_SYSTEM_MB, memory_mb // _SYSTEM_SHARE)


def _of_tensor(weights: Anatomy, ranks: int, context: int, slots: int) -> Need:
    known = weights.tensor.get(ranks)
    cache = sum(layer.cache.held(context) for layer in weights.layers) * slots
    if known is None or known.refusal is not None:
        inside = sum(layer.bytes for layer in weights.layers)
        share = 1 if weights.layers[0].cache.heads == 1 else ranks
        held, kept = weights.outside_bytes + inside // ranks, cache / share
        return Need(held, int(kept), _scratch(weights.scratch, context))
    held = int(cache * known.cache_share)
    # Loading is over before the first prompt comes.
    return Need(known.bytes, held, max(_scratch(known.scratch, context), known.loading_bytes - held))


def _of_pipeline(setting: Setting, context: int, slots: int) -> list[Need]:
    weights = setting.weights
    counts = setting.layers or even(len(weights.layers), setting.ranks)
    scratch, found, first = _scratch(weights.scratch, context), list[Need](), len(weights.layers)
    # Rank 0 holds the last layers.
    for count in counts:
        part = weights.layers[first - count : first]
        found.append(_need(part, weights.outside_bytes, scratch, context, slots))
        first -= count
    return found


def _need(layers: tuple[Layer, ...], outside: int, scratch: int, context: int, slots: int) -> Need:
    held = sum(layer.bytes for layer in layers) + outside
    return Need(held, int(sum(layer.cache.held(context) for layer in layers) * slots), scratch)


def _scratch(known: Mapping[int, int], tokens: float) -> int:
    """For prompts of that length, by the next longer one that was looked at."""
    asked = min(tokens, PROMPT_STEP)
    return known[min((length for length in known if length >= asked), default=max(known))] if known else 0
