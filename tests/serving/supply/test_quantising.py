"""Quantising by mlx-lm's own convert, of the real test weights, on CPU."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from serving.errors import SupplyRefused
from serving.supply.order import Conversion
from serving.supply.quantising import quantise
from serving.supply.shelf import Shelf
from tests.weights import PATH


@pytest.fixture
def conversion(tmp_path: Path) -> Conversion:
    shutil.copytree(PATH, tmp_path / "w-source-1234")
    return Conversion(
        name="w",
        machine="m1",
        source=str(tmp_path / "w-source-1234"),
        weights=str(tmp_path),
        quantise="4bit",
        group=32,
    )


def test_what_is_made_is_named_by_its_content_vouched_for_and_found_again(conversion: Conversion, tmp_path: Path):
    said: list[str] = []
    made = quantise(conversion, say=said.append)
    final = tmp_path / f"w-{made.digest[:12]}"
    written = json.loads((final / "config.json").read_text())["quantization"]

    assert (written["bits"], written["group_size"]) == (4, 32)
    assert Shelf(final, made.files).missing() == []
    assert Path(conversion.result).is_file()
    assert quantise(conversion, say=said.append) == made
    assert said[-1] == "was quantised before"
    assert not Path(f"{conversion.source}.quantising").exists()


def test_weights_of_a_type_that_mlx_lm_does_not_know_are_refused_in_its_own_words(
    conversion: Conversion, tmp_path: Path
):
    config = Path(conversion.source) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "cider-press"}))

    with pytest.raises(SupplyRefused, match=r"cannot quantise 'w' on m1: mlx-lm's convert says .*cider-press"):
        quantise(conversion, say=print)
