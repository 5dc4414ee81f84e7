import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import utils

from serving.anatomy import splitting
from serving.anatomy.quantising import Quantisation
from serving.anatomy.reading import from_directory, object_in
from serving.errors import WeightsUnreadable
from tests.weights import PATH


class OneOf:
    """As much of MLX's group as splitting asks for; nothing is sent."""

    def __init__(self, ranks: int, number: int) -> None:
        self.ranks, self.number = ranks, number

    def size(self) -> int:
        return self.ranks

    def rank(self) -> int:
        return self.number


def held_by(network: object) -> int:
    return sum(array.nbytes for _, array in tree_flatten(network.parameters()))  # pyright: ignore


def test_the_test_weights_are_as_large_as_mlx_lm_loads_them():
    network, _ = utils.load_model(PATH)

    assert from_directory(PATH).anatomy().bytes == held_by(network)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_a_rank_of_a_tensor_split_holds_what_was_predicted(ranks: int):
    network, _ = utils.load_model(PATH)
    network.shard(OneOf(ranks, ranks - 1))
    mx.eval(network.parameters())

    predicted = from_directory(PATH).tensor(ranks)

    assert predicted.refusal is None
    assert predicted.bytes == pytest.approx(held_by(network), rel=0.01)


@pytest.mark.parametrize(("split", "rank"), [((9, 3), 0), ((9, 3), 1), ((4, 4, 4), 2)])
def test_a_rank_of_a_pipeline_holds_what_was_predicted(split: tuple[int, ...], rank: int):
    network, _ = utils.load_model(PATH)
    network.model.pipeline(OneOf(len(split), rank), split=list(split))
    weights = from_directory(PATH).anatomy()

    parts = [layer.bytes for layer in weights.layers]
    first = sum(split[rank + 1 :])
    predicted = weights.outside_bytes + sum(parts[first : first + split[rank]])

    assert predicted == pytest.approx(held_by(network), rel=0.01)
    assert splitting.of_pipeline(from_directory(PATH).make, split, rank) == held_by(network)


def test_config_and_index_alone_say_as_much_as_the_weights(tmp_path: Path):
    for name in ("config.json", "model.safetensors.index.json"):
        (tmp_path / name).write_bytes((PATH / name).read_bytes())

    from_names, from_headers = (from_directory(each).anatomy([2]) for each in (tmp_path, PATH))

    assert from_names.bytes == from_headers.bytes
    assert from_names.tensor == from_headers.tensor


def test_what_is_quantised_is_seen_in_the_index(tmp_path: Path):
    config = object_in(PATH / "config.json") | {"hidden_size": 192, "quantization": {"group_size": 64, "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    all_of_them = from_directory(tmp_path).size
    names = {"model.layers.0.mlp.up_proj.scales": "model.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))

    assert from_directory(tmp_path).size > 2 * all_of_them


def test_weights_that_are_quantised_already_cannot_be_again():
    source = from_directory(PATH, Quantisation(4))

    with pytest.raises(WeightsUnreadable, match="cannot quantise"):
        source.at(Quantisation(8))


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_config_that_is_none_is_refused(tmp_path: Path, text: str):
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(WeightsUnreadable, match=r"config\.json"):
        from_directory(tmp_path)


def test_a_directory_without_config_is_refused(tmp_path: Path):
    with pytest.raises(WeightsUnreadable, match=r"seen no config\.json"):
        from_directory(tmp_path)
