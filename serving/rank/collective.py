"""How long a reduction over all ranks takes, timed by each rank once they have met and before they load anything.

A small one is the price of meeting, which a tensor split pays twice for each layer of each token; a large one tells how
fast bytes go. Each waits for a kernel, as those of a split do, so what Metal needs to hand over is part of it: with
FAST_SYNCH off that is most of it. The hop of a pipeline, which sends and receives in place of reducing, is not measured
by this.

What is sent does not depend on any clock, so ranks stay in step: 12 times 4 KB, 3 times 4 MB, each after one that does
not count. Seen with two ranks over loopback that share two processors: 0.1 s (ring, mlx 0.32.4).
"""

# MLX's arrays carry partial types:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

import mlx.core as mx

from serving.rank.status import Collective

SMALL_BYTES: Final = 4096
LARGE_BYTES: Final = 4 * 2**20
_ROUNDS: Final = 3
_LINKS: Final = 4
"""Reductions in a chain: they are handed over together, as those of one token are."""


def measured(clock: Callable[[], float] = time.perf_counter) -> Collective:
    """The medians of a few rounds. Every rank has to call it at the same time; raises RuntimeError as MLX does."""
    small = _rounds(SMALL_BYTES, _LINKS, clock)
    large = _rounds(LARGE_BYTES, 1, clock)
    return collective(small, large)


def collective(small: Sequence[float], large: Sequence[float]) -> Collective:
    """What the rounds of small and of large reductions say, in seconds for each reduction. Pure."""
    latency, whole = median(small), median(large)
    # Where the large one took no longer, nothing can be said of bytes.
    rate = LARGE_BYTES / (whole - latency) if whole > latency else None
    return Collective(
        seconds=latency,
        bytes_per_second=rate,
        small_bytes=SMALL_BYTES,
        large_bytes=LARGE_BYTES,
        spread=(max(small) - min(small)) / 2 / latency if latency else 0.0,
    )


def _rounds(size: int, links: int, clock: Callable[[], float]) -> list[float]:
    _chain(size, 1, clock)
    return [_chain(size, links, clock) for _ in range(_ROUNDS)]


def _chain(size: int, links: int, clock: Callable[[], float]) -> float:
    value = mx.ones((size // 4,), dtype=mx.float32)
    mx.eval(value)
    began = clock()
    for _ in range(links):
        value = mx.distributed.all_sum(value * 0.5)
    mx.eval(value)
    return (clock() - began) / links
