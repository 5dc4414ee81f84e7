"""Which rank of a pipeline holds which of the weights' layers. Pure.

mlx-lm (0.32.2) numbers the pipeline backwards: the last rank holds the first layers.
"""

from __future__ import annotations

from collections.abc import Sequence


def proportional(layers: int, shares: Sequence[int]) -> tuple[int, ...]:
    """The split of layers that comes nearest to the shares, with one layer for each at least."""
    whole = sum(shares)
    parts = [max(1, layers * share // whole) for share in shares]

    def lacks(rank: int) -> int:
        return layers * shares[rank] - parts[rank] * whole

    ranks = range(len(parts))
    while sum(parts) < layers:
        parts[max(ranks, key=lacks)] += 1
    while sum(parts) > layers:
        parts[min((rank for rank in ranks if parts[rank] > 1), key=lacks)] -= 1
    return tuple(parts)


def of_rank(layers: Sequence[int], rank: int) -> tuple[int, int]:
    """The first layer of a rank, and the first one after its last."""
    first = sum(layers[rank + 1 :])
    return first, first + layers[rank]
