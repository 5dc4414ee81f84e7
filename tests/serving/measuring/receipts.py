"""One replica as it was measured, and ways to have been measured otherwise."""

from __future__ import annotations

from typing import Any

from serving.measuring.receipt import Figure, Measured, MeasuredMachine, MeasuredReplica, Receipt
from serving.measuring.receipts import Kept
from serving.rank.status import Collective

SOFTWARE = ("0.32.4", "0.32.2")
KIND = "qwen2, 16 bit"


def figure(median: float, spread: float = 0.02) -> Figure:
    return Figure(median=median, spread=spread)


def point(
    tokens: int = 256, rate: float | None = 50.0, first: float = 0.5, sequences: int = 1, **changes: Any
) -> Measured:
    told = Measured(
        wanted_tokens=tokens,
        sequences=sequences,
        prompt_tokens=tokens,
        answer_tokens=32,
        rounds=3,
        tokens_per_second=None if rate is None else figure(rate),
        first_token_seconds=figure(first),
        prompt_tokens_per_second=figure(tokens / first),
    )
    return told.model_copy(update=changes)


def machine(name: str, build: str = "25D125", chip: str = "Apple M3 Ultra") -> MeasuredMachine:
    return MeasuredMachine(name=name, chip=chip, memory_gb=512, macos="26.3", build=build)


def replica(*points: Measured, **changes: Any) -> MeasuredReplica:
    """Replica a of `tests.serving.declarations`, over TCP."""
    told = MeasuredReplica(
        name="a",
        machines=(machine("m1"), machine("m2")),
        cables=(),
        transport="ring",
        sharding="tensor",
        context_tokens=4096,
        slots=4,
        weights="w",
        kind=KIND,
        digest="d1",
        release="agent-0000",
        mlx=SOFTWARE[0],
        mlx_lm=SOFTWARE[1],
        collective=reduction(),
        points=points or (point(), point(1024, 45.0, 2.0), point(256, 120.0, 0.9, sequences=4)),
    )
    return told.model_copy(update=changes)


def reduction(seconds: float = 300e-6, bytes_per_second: float | None = 5.5e9) -> Collective:
    return Collective(
        seconds=seconds,
        bytes_per_second=bytes_per_second,
        small_bytes=4096,
        large_bytes=4 * 2**20,
        spread=0.1,
    )


def receipt(*replicas: MeasuredReplica, day: int = 20, **changes: Any) -> Receipt:
    at = f"2026-11-{day:02}T10:00:00Z"
    return Receipt(lab="test", at=at, cidermill="0.1.0", replicas=replicas or (replica(),), not_measured={}).model_copy(
        update=changes
    )


def kept(*receipts: Receipt) -> Kept:
    """In the order of days; the newest is read first."""
    return Kept(tuple(sorted(receipts, key=lambda each: each.at, reverse=True)))
