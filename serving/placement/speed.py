"""How fast weights are served: seconds for one step of an answer and for reading a prompt. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serving.anatomy.values import Anatomy
from serving.placement.chips import Chip, Machine
from serving.placement.constants import FITTED, Constants

Sharding = Literal["single", "tensor", "pipeline"]
Transport = Literal["jaccl", "jaccl-ring", "ring"]
PROMPT_STEP = 2048
"""How many tokens of a prompt mlx-lm reads at once (0.32.2)."""


@dataclass(frozen=True)
class Setting:
    """Weights on machines: everything that speed depends on. `layers` are those of each stage of a pipeline."""

    weights: Anatomy
    machines: tuple[Machine, ...]
    sharding: Sharding = "single"
    transport: Transport | None = None
    fast_synch: bool = False
    layers: tuple[int, ...] | None = None
    constants: Constants = FITTED

    @property
    def ranks(self) -> int:
        """How many machines."""
        return len(self.machines)


def decode_seconds(setting: Setting, context: float, sequences: int = 1) -> float:
    """Seconds for one token of each of `sequences`, each with `context` tokens behind it."""
    if setting.sharding == "pipeline":
        return _pipelined(setting, context, sequences)
    share = _share(setting)
    chip = _slowest(setting.machines)
    weights, constants = setting.weights, setting.constants
    read = weights.read(sequences) * share + weights.read_outside_bytes
    return (
        max(read / _bytes_per_second(chip, constants), _batched(setting, chip, sequences) * share)
        + _cache_seconds(setting, chip, context, sequences, 0, len(weights.layers))
        + _launched(weights, 1.0, chip, constants)
        + _collectives(setting, sequences)
    )


def prompt_seconds(setting: Setting, tokens: int) -> float:
    """Seconds to read a prompt of so many tokens, until the first token of the answer can be chosen."""
    whole = sum(_chunk_seconds(setting, first, size) for first, size in _chunks(tokens))
    if setting.sharding != "pipeline":
        return whole
    chunks = max(1, math.ceil(tokens / PROMPT_STEP))
    # Stages read different pieces at the same time: the first piece goes through all, then the slowest one decides.
    return whole * (1 + (chunks - 1) * _slowest_stage(setting)) / chunks + (setting.ranks - 1) * _hop(setting)


def _slowest_stage(setting: Setting) -> float:
    """The part of all the work on a piece of a prompt that the slowest stage has."""
    stages = zip(setting.machines, _stages(setting), strict=True)
    seconds = [count / _prompt_rate(machine.chip, setting.constants) for machine, count in stages]
    return max(seconds) / sum(seconds)


def _pipelined(setting: Setting, context: float, sequences: int) -> float:
    weights, constants = setting.weights, setting.constants
    total, seconds, first = len(weights.layers), 0.0, 0
    for chip, count in zip((m.chip for m in setting.machines), _stages(setting), strict=True):
        part = count / total
        read = weights.read(sequences) * part
        seconds += max(read / _bytes_per_second(chip, constants), _batched(setting, chip, sequences) * part)
        seconds += _cache_seconds(setting, chip, context, sequences, first, first + count)
        seconds += _launched(weights, part, chip, constants)
        first += count
    head = weights.read_outside_bytes / _bytes_per_second(_slowest(setting.machines), constants)
    return seconds + head + (setting.ranks - 1) * _hop(setting)


def _stages(setting: Setting) -> Sequence[int]:
    return setting.layers or even(len(setting.weights.layers), setting.ranks)


def even(layers: int, ranks: int) -> tuple[int, ...]:
    """mlx-lm's own split: as equal as can be, the first ranks one more."""
    base, more = divmod(layers, ranks)
    return tuple(base + (rank < more) for rank in range(ranks))


def _share(setting: Setting) -> float:
    """What one rank of a tensor split holds of the layers."""
    if setting.sharding != "tensor":
        return 1.0
    weights, known = setting.weights, setting.weights.tensor.get(setting.ranks)
    if known is None or known.refusal is not None:
        return 1 / setting.ranks
    return (known.bytes - weights.outside_bytes) / (weights.bytes - weights.outside_bytes)


def _slowest(machines: Sequence[Machine]) -> Chip:
    return min((machine.chip for machine in machines), key=lambda chip: chip.bandwidth)


def _bytes_per_second(chip: Chip, constants: Constants) -> float:
    return constants.bandwidth_share * chip.bandwidth * 1e9 / constants.decoding_factor


def _launched(weights: Anatomy, part: float, chip: Chip, constants: Constants) -> float:
    work = weights.work
    share = constants.newer_launch_share if chip.generation >= 4 else 1.0
    whole = work.launches * constants.launch_seconds + work.command_buffers * constants.handing_seconds
    return part * share * whole * constants.decoding_factor


def _cache_seconds(setting: Setting, chip: Chip, context: float, sequences: int, first: int, last: int) -> float:
    constants = setting.constants
    ranks = setting.ranks if setting.sharding == "tensor" else 1
    total = 0.0
    for layer in setting.weights.layers[first:last]:
        cache = layer.cache
        # One kept head cannot be split: every rank reads all of it, for fewer heads that ask.
        parts, readers = (1, cache.readers / ranks) if cache.heads == 1 else (ranks, cache.readers)
        total += cache.held(context) / parts * (1 + constants.shared_read * max(0.0, readers - 1))
    return sequences * total / _bytes_per_second(chip, constants)


def _batched(setting: Setting, chip: Chip, sequences: int) -> float:
    """What the arithmetic of several sequences takes where it is more than reading the weights."""
    if sequences == 1:
        return 0.0
    rate = setting.constants.batched_compute_share * chip.tflops * 1e12 / setting.constants.decoding_factor
    return 2 * sequences * setting.weights.active_parameters / rate


def _collectives(setting: Setting, sequences: int) -> float:
    if setting.sharding != "tensor":
        return 0.0
    known = setting.weights.tensor.get(setting.ranks)
    count = known.collectives if known is not None and known.refusal is None else 2 * len(setting.weights.layers)
    return count * collective_seconds(setting, sequences * 2 * setting.weights.hidden)


def collective_seconds(setting: Setting, size: float) -> float:
    """Seconds to add up `size` bytes over all ranks, so that all have the sum."""
    ranks, constants = setting.ranks, setting.constants
    bytes_seconds = constants.transfer_factor * size
    if setting.transport == "ring":
        latency = constants.tcp_collective_seconds * (ranks - 1)
        return constants.latency_factor * latency + bytes_seconds / constants.tcp_bytes_per_second
    slow = 0.0 if setting.fast_synch else constants.slow_sync_seconds
    # A mesh sends to all peers at once; a ring hands on from one to the next.
    peers = 1 + (ranks - 2) / 2 if setting.transport != "jaccl-ring" else ranks - 1
    latency = constants.collective_seconds * peers + slow
    return constants.latency_factor * latency + bytes_seconds / _reduction_rate(constants, ranks)


def _reduction_rate(constants: Constants, ranks: int) -> float:
    rates = constants.rdma_bytes_per_second
    return rates[min(ranks - 2, len(rates) - 1)]


def _hop(setting: Setting) -> float:
    constants = setting.constants
    return constants.tcp_hop_seconds if setting.transport == "ring" else constants.hop_seconds


def _chunks(tokens: int) -> list[tuple[int, int]]:
    """Where each piece of a prompt begins, and how long it is."""
    return [(first, min(PROMPT_STEP, tokens - first)) for first in range(0, max(1, tokens), PROMPT_STEP)]


def _chunk_seconds(setting: Setting, first: int, size: int) -> float:
    weights, constants = setting.weights, setting.constants
    machines = setting.machines
    flops = size * (weights.work.flops_per_token - weights.work.expert_flops_per_token)
    flops += size * weights.work.expert_flops_per_token * _expert_excess(weights, size, constants)
    flops += sum(2 * layer.attention_width * size * layer.cache.tokens(first + size / 2) for layer in weights.layers)
    if setting.sharding == "tensor":
        rate = setting.ranks * min(_prompt_rate(machine.chip, constants) for machine in machines)
        count = 2 * len(weights.layers)
        return flops / rate + count * collective_seconds(setting, size * 2 * weights.hidden)
    if setting.sharding == "pipeline":
        total = len(weights.layers)
        stages = zip(machines, _stages(setting), strict=True)
        return sum(flops * count / total / _prompt_rate(machine.chip, constants) for machine, count in stages)
    return flops / _prompt_rate(machines[0].chip, constants)


def _expert_excess(weights: Anatomy, size: int, constants: Constants) -> float:
    """How much longer experts take for want of tokens at once."""
    if weights.experts == 0:
        return 1.0
    rows = size * weights.experts_per_token / weights.experts
    return (rows + constants.expert_rows) / rows


def _prompt_rate(chip: Chip, constants: Constants) -> float:
    if chip.prompt_tflops is not None:
        return chip.prompt_tflops * 1e12 / constants.prompt_factor
    newer = constants.newer_compute_share if chip.generation >= 4 else 1.0
    return constants.compute_share * newer * chip.tflops * 1e12 / constants.prompt_factor
