from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.declared import Replica
from serving.errors import LayersRefused
from serving.layers import by_memory, hidden_layers, of_rank, split

MEMORY = st.lists(st.integers(1, 2048), min_size=1, max_size=8)


def replica(**changes: Any) -> Replica:
    return Replica(name="a", machines=("m1", "m2"), weights="w", transport="ring", sharding="pipeline", **changes)


def weights(directory: Path, config: dict[str, Any]) -> Path:
    (directory / "config.json").write_text(json.dumps(config))
    return directory


@pytest.mark.parametrize(
    ("layers", "memory", "parts"),
    [
        (12, (96, 32), (9, 3)),
        (61, (512, 512), (31, 30)),
        (47, (512, 96, 96), (34, 7, 6)),
        (10, (512, 8), (9, 1)),
        (3, (512, 8, 8), (1, 1, 1)),
    ],
    ids=str,
)
def test_layers_follow_memory(layers: int, memory: tuple[int, ...], parts: tuple[int, ...]):
    assert by_memory(replica(), layers, memory) == parts


@given(MEMORY, st.integers(0, 200))
def test_every_layer_is_held_once_and_no_rank_is_without(memory: list[int], more: int):
    layers = len(memory) + more
    parts = by_memory(replica(), layers, memory)

    assert sum(parts) == layers
    assert min(parts) >= 1
    ranges = sorted(of_rank(parts, rank) for rank in range(len(parts)))
    assert [number for first, end in ranges for number in range(first, end)] == list(range(layers))


@given(MEMORY, st.integers(0, 200))
def test_no_rank_has_a_whole_layer_more_than_its_share_unless_it_is_its_only_one(memory: list[int], more: int):
    layers = len(memory) + more
    shares = [layers * share / sum(memory) for share in memory]

    for part, share in zip(by_memory(replica(), layers, memory), shares, strict=True):
        assert part < share + 1 or part == 1


@given(st.integers(1, 8), st.integers(0, 200))
def test_equal_memory_is_split_as_mlx_lm_does(machines: int, more: int):
    base, extra = divmod(machines + more, machines)

    assert by_memory(replica(), machines + more, [512] * machines) == tuple(
        base + (rank < extra) for rank in range(machines)
    )


def test_the_last_rank_holds_the_first_layers():
    assert [of_rank((7, 3, 2), rank) for rank in range(3)] == [(5, 12), (2, 5), (0, 2)]


def test_an_even_split_is_left_to_mlx_lm_and_needs_no_look_at_the_weights(tmp_path: Path):
    assert split(replica(), tmp_path / "nowhere", (1, 1)) is None


def test_a_declared_split_is_itself(tmp_path: Path):
    assert split(replica(pipeline_layers=(7, 5)), weights(tmp_path, {"num_hidden_layers": 12}), (1, 1)) == (7, 5)


def test_weights_that_also_see_count_the_layers_of_their_text(tmp_path: Path):
    assert hidden_layers(weights(tmp_path, {"text_config": {"num_hidden_layers": 40}, "vision_config": {}})) == 40


@pytest.mark.parametrize(
    ("declared", "config", "memory", "told"),
    [
        ((7, 6), {"num_hidden_layers": 12}, (1, 1), "pipeline_layers=[7, 6] are 13 layers, the weights have 12. Corr"),
        ("by memory", {"num_hidden_layers": 1}, (1, 1), "the weights have 1 layers for 2 machines. Choose fewer"),
        ("by memory", {"num_hidden_layers": 12}, (96, 0), "seen [96, 0] GB, needed the memory of each machine"),
        ("by memory", {"layers": 12}, (1, 1), "their config.json has no num_hidden_layers"),
    ],
    ids=["the sum is another", "too few layers", "no memory", "nothing told"],
)
def test_a_split_that_cannot_be_is_refused(
    declared: Any, config: dict[str, Any], memory: tuple[int, ...], told: str, tmp_path: Path
):
    with pytest.raises(LayersRefused) as refused:
        split(replica(pipeline_layers=declared), weights(tmp_path, config), memory)

    assert told in str(refused.value)
