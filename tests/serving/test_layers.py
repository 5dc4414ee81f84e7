from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.layers import of_rank, proportional

SHARES = st.lists(st.integers(1, 2048), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("layers", "shares", "parts"),
    [
        (12, (96, 32), (9, 3)),
        (61, (512, 512), (31, 30)),
        (47, (512, 96, 96), (34, 7, 6)),
        (10, (512, 8), (9, 1)),
        (3, (512, 8, 8), (1, 1, 1)),
    ],
    ids=str,
)
def test_layers_follow_shares(layers: int, shares: tuple[int, ...], parts: tuple[int, ...]):
    assert proportional(layers, shares) == parts


@given(SHARES, st.integers(0, 200))
def test_every_layer_is_held_once_and_no_rank_is_without(shares: list[int], more: int):
    layers = len(shares) + more
    parts = proportional(layers, shares)

    assert sum(parts) == layers
    assert min(parts) >= 1
    ranges = sorted(of_rank(parts, rank) for rank in range(len(parts)))
    assert [number for first, end in ranges for number in range(first, end)] == list(range(layers))


@given(SHARES, st.integers(0, 200))
def test_no_rank_has_a_whole_layer_more_than_its_share_unless_it_is_its_only_one(shares: list[int], more: int):
    layers = len(shares) + more
    whole = [layers * share / sum(shares) for share in shares]

    for part, share in zip(proportional(layers, shares), whole, strict=True):
        assert part < share + 1 or part == 1


@given(st.integers(1, 8), st.integers(0, 200))
def test_equal_shares_are_split_as_mlx_lm_does(machines: int, more: int):
    base, extra = divmod(machines + more, machines)

    assert proportional(machines + more, [512] * machines) == tuple(base + (rank < extra) for rank in range(machines))


def test_the_last_rank_holds_the_first_layers():
    assert [of_rank((7, 3, 2), rank) for rank in range(3)] == [(5, 12), (2, 5), (0, 2)]
