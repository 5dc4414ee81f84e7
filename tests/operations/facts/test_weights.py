import json
import os
import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.weights import LISTING, WeightsOnDisk, listed, receipt_of


def on_disk(directory):
    """What the real command says of a real directory."""
    fact = WeightsOnDisk()
    command = fact.command(directory=str(directory))
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return fact.process(ended.stdout.splitlines())


@pytest.fixture
def weights(tmp_path):
    """A directory whose receipt vouches for its one file."""
    directory = tmp_path / "cider 1"
    directory.mkdir()
    (directory / "model.safetensors").write_bytes(b"right")
    lines = subprocess.run(["/bin/sh", "-c", LISTING], cwd=directory, capture_output=True, text=True, check=True).stdout
    size, changed = listed(lines.splitlines())["model.safetensors"]
    receipt = {"files": {"model.safetensors": {"size": size, "sha256": "ab", "changed": changed}}}
    (tmp_path / receipt_of(directory.name)).write_text(json.dumps(receipt))
    return directory


def test_an_untouched_file_is_vouched_for(weights):
    assert on_disk(weights) == {"model.safetensors": {"size": 5, "sha256": "ab"}}


def test_a_byte_changed_under_the_same_size_and_time_is_not_vouched_for_any_more(weights):
    file = weights / "model.safetensors"
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(b"wrong")
    os.utime(file, ns=times)

    assert on_disk(weights) == {"model.safetensors": {"size": 5, "sha256": None}}


def test_a_file_the_receipt_does_not_know_is_there_but_unknown(weights):
    (weights / "sub").mkdir()
    (weights / "sub" / "x.json").write_text("{}")

    assert on_disk(weights)["sub/x.json"] == {"size": 2, "sha256": None}


@pytest.mark.parametrize("receipt", ["", "{", "[]", '{"files": 3}'])
def test_a_damaged_receipt_vouches_for_nothing(weights, receipt):
    (weights.parent / receipt_of(weights.name)).write_text(receipt)

    assert on_disk(weights)["model.safetensors"]["sha256"] is None


def test_no_directory_holds_no_weights(tmp_path):
    assert on_disk(tmp_path / "nothing") == {}


def test_bsd_stat_prints_the_same_three_words():
    assert listed(["612 1790153387.566452000 ./config.json"]) == {"config.json": (612, "1790153387.566452000")}


def test_a_listing_of_another_shape_is_not_guessed():
    with pytest.raises(FactProcessError, match="cannot tell which weights are there"):
        listed(["stat: illegal option -- c"])
