import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from serving.configuration import Manifest
from serving.errors import WeightsDamaged
from serving.weights import NEEDED, manifest


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in (*NEEDED, "model.safetensors"):
        (weights / name).write_text(name)
    return weights


@pytest.fixture
def digests(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "digests.json"


@pytest.fixture
def made(directory: Path, digests: Path) -> Callable[[], Manifest]:
    """Make the manifest now."""
    return partial(manifest, directory, digests)


def test_a_manifest_lists_every_file_by_size_and_digest(made):
    files = made().files

    assert set(files) == {*NEEDED, "model.safetensors"}
    assert files["config.json"].size == len("config.json")


def test_one_other_byte_gives_another_digest(directory, made):
    before = made().digest
    (directory / "model.safetensors").write_text("model.safetensorS")

    assert made().digest != before


def test_files_that_the_system_leaves_about_do_not_count(directory, made):
    before = made().digest
    (directory / ".DS_Store").write_text("x")

    assert made().digest == before


def test_a_directory_that_mlx_lm_could_not_load_is_refused_by_what_it_lacks(directory, made):
    (directory / "model.safetensors.index.json").unlink()

    with pytest.raises(WeightsDamaged, match=r"seen no model\.safetensors\.index\.json"):
        made()


def test_a_digest_is_believed_until_its_file_is_written_to(directory, digests, made):
    honest = made()
    kept = json.loads(digests.read_text())
    digests.write_text(json.dumps({mark: entry | {"sha256": "0" * 64} for mark, entry in kept.items()}))

    assert {file.sha256 for file in made().files.values()} == {"0" * 64}

    (directory / "config.json").write_text("config.json")

    assert made().files["config.json"] == honest.files["config.json"]


def test_damaged_notes_about_digests_only_cost_time(digests, made):
    before = made()
    digests.write_text("[1,")

    assert made() == before
