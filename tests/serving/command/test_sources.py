"""Where weights that are planned with are read from, over the hub's own protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.anatomy.quantising import Quantisation, converted
from serving.anatomy.reading import from_directory
from serving.command.sources import source_of
from serving.errors import WeightsUnreadable
from tests.serving.supply.hubs import COMMIT, REPOSITORY, Hub, serving
from tests.weights import PATH

LARGE = "model.safetensors"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_weights_of_a_mirror_are_planned_with_without_a_byte_of_the_weights():
    files = {path.name: path.read_bytes() for path in PATH.iterdir() if path.is_file()}
    with serving(Hub({LARGE: files.pop(LARGE)}, files)) as hub:
        found = source_of(REPOSITORY, None, COMMIT, hub.endpoint)

        assert found.whole.bytes == from_directory(PATH).whole.bytes
        assert hub.of_large() == 0


def test_a_mirror_that_does_not_answer_is_named():
    with pytest.raises(
        WeightsUnreadable, match=r"cannot fetch config.json of 'orchard/cider' from http://127.0.0.1:9: "
    ):
        source_of(REPOSITORY, None, COMMIT, "http://127.0.0.1:9")


def test_weights_that_are_quantised_already_are_not_quantised_again(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "llama", "quantization": {"bits": 8, "group_size": 32}}')

    with pytest.raises(WeightsUnreadable, match="seen 8 bit, groups of 32, needed 16 bits"):
        source_of(str(tmp_path), converted("4bit", None))


def test_a_number_of_bits_is_taken_in_groups_of_64_unless_another_size_is_given():
    assert converted("4bit", None) == Quantisation(4, 64)
    assert converted("3bit", 32) == Quantisation(3, 32)
    assert converted("mxfp4", None) == Quantisation(4, 32, "mxfp4")
