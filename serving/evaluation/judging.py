"""Which rows can be judged, and as what: by general rules that look at everything but the published value. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from serving.anatomy.quantising import Quantisation, foreign, parsed, stated_bytes
from serving.errors import MachineUnknown
from serving.evaluation.naming import meant
from serving.evaluation.rows import Row
from serving.placement.chips import Machine, machines
from serving.placement.speed import Sharding, Transport

Metric = Literal["decode", "prompt", "memory"]
METRICS: Mapping[str, Metric] = {
    "decode_tok_s": "decode",
    "aggregate_decode_tok_s": "decode",
    "prefill_tok_s": "prompt",
    "peak_mem_gb_per_node": "memory",
}
SHARDINGS: Mapping[str, Sharding] = {
    "single": "single",
    "tp": "tensor",
    "tensor": "tensor",
    "pp": "pipeline",
    "pipeline": "pipeline",
}
OLDEST = "2025-06"
"""MLX software before this kept caches of latent attention unabsorbed, seventy times as large."""
ASSUMED_CONTEXT = 1024
"""Where none is said; short chats are what such numbers come from."""

_NOT_MLX = re.compile(r"llama\.?cpp|ollama|gguf|vllm(?!-mlx)|tensorrt|transformers|mlc|ax-engine|ktransformers", re.I)
_MLX = re.compile(r"mlx|\bexo\b", re.I)
_OLD = re.compile(r"\bexo 0\b|\bexo 0\.|\bearly\b|\bold\b", re.I)
_GUESSING = re.compile(r"speculat|draft|\bmtp\b|eagle|medusa|lookahead", re.I)
_TCP = re.compile(r"tcp|thunderbolt bridge|tb bridge|\bip\b", re.I)
_RDMA = re.compile(r"rdma|jaccl", re.I)
_SYNC = re.compile(r"fast[ _-]?sync(?:h|hronization)?\W*(on|off|0|1)?", re.I)
_SETS_NO_SYNC = re.compile(r"guruswami", re.I)
"""Whose published commands do not hand the variable on to other Macs, which leaves it off."""


@dataclass(frozen=True)
class Case:
    """A row that can be judged: what to predict."""

    row: Row
    metric: Metric
    weights: str
    """The name of the dimensions that are meant."""
    quantisation: Quantisation | None
    """None: told by its size alone, `stated_bytes`."""
    stated_bytes: float | None
    machines: tuple[Machine, ...]
    sharding: Sharding
    transport: Transport | None
    fast_synch: bool
    context: int
    sequences: int
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """A row that cannot be judged, and why."""

    row: Row
    reason: str


def judged(row: Row, known: Mapping[str, object]) -> Case | Left:
    """A row as a case, or why not; `known` are the names of dimensions that are there."""
    for reason in (_no_number, _software, _label, _kind):
        if (said := reason(row)) is not None:
            return Left(row, said)
    weights = meant(row.model, known)
    if weights is None:
        return Left(row, f"no dimensions of '{row.model}' are given")
    try:
        taken = tuple(machines(row.machine, row.machines or 1))
    except MachineUnknown as refusal:
        return Left(row, str(refusal))
    return _case(row, weights, taken)


def _case(row: Row, weights: str, taken: tuple[Machine, ...]) -> Case | Left:
    sharding, metric = SHARDINGS[row.strategy.lower()], METRICS[row.metric]
    if (sharding == "single") != (len(taken) == 1):
        return Left(row, f"'{row.strategy}' on {len(taken)} machines contradicts itself")
    transport = None if sharding == "single" else _transport(row)
    if sharding != "single" and transport is None:
        return Left(row, f"'{row.link}' is neither RDMA nor TCP over Thunderbolt")
    if metric == "prompt" and row.tokens is None:
        return Left(row, "the speed of a prompt without its length")
    synch, assumed = _fast_synch(row) if transport == "jaccl" else (False, ())
    context = row.tokens if row.tokens is not None else ASSUMED_CONTEXT
    if row.tokens is None:
        assumed = (*assumed, f"context {ASSUMED_CONTEXT}")
    return Case(
        row=row,
        metric=metric,
        weights=weights,
        quantisation=parsed(row.quant),
        stated_bytes=stated_bytes(row.quant),
        machines=taken,
        sharding=sharding,
        transport=transport,
        fast_synch=synch,
        context=context,
        sequences=row.sequences,
        assumed=assumed,
    )


def _no_number(row: Row) -> str | None:
    if row.metric not in METRICS:
        return f"'{row.metric}' is no number about serving weights that is predicted here"
    return None if row.number else f"'{row.value}' is no number"


def _software(row: Row) -> str | None:
    if _NOT_MLX.search(row.framework) or not _MLX.search(row.framework):
        return f"the software is not MLX: {row.framework or 'not said'}"
    if _OLD.search(row.framework) or (row.date and row.date[:7] < OLDEST):
        return f"an obsolete version: {row.framework}, {row.date or 'no date'}"
    guesses = any(_GUESSING.search(text) for text in (row.framework, row.note, row.strategy, row.quant))
    return "speculative decoding is not modelled" if guesses else None


def _label(row: Row) -> str | None:
    if row.grade.upper() == "X":
        return "its own file marks it as contradicted"
    if foreign(row.quant):
        return f"'{row.quant}' is not a format of MLX"
    if parsed(row.quant) is None and stated_bytes(row.quant) is None:
        return f"'{row.quant or 'nothing'}' does not say how the weights are quantised"
    return None


def _kind(row: Row) -> str | None:
    if row.strategy.lower() not in SHARDINGS:
        return f"'{row.strategy or 'nothing'}' is no way to split that is predicted here"
    nodes = row.machines
    return "it does not say how many machines" if nodes is None else None


def _transport(row: Row) -> Transport | None:
    if _RDMA.search(row.link):
        return "jaccl-ring" if "ring" in row.link.lower() else "jaccl"
    return "ring" if _TCP.search(row.link) else None


def _fast_synch(row: Row) -> tuple[bool, tuple[str, ...]]:
    """Whether MLX_METAL_FAST_SYNCH was on, and what was assumed for it."""
    for text in (row.note, row.link, row.framework, row.source):
        if (said := _SYNC.search(text)) and said[1]:
            return said[1].lower() in ("on", "1"), ()
    if _SETS_NO_SYNC.search(row.source):
        return False, ("FAST_SYNCH off: the published commands do not hand it on",)
    return True, ("FAST_SYNCH on: exo sets it, and MLX's own recipes of the time do",)


Predictor = Callable[[Case], float]
