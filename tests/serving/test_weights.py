from pathlib import Path

import pytest

from serving.errors import WeightsDamaged
from serving.weights import NEEDED, manifest


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in (*NEEDED, "model.safetensors"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_manifest_lists_every_file_by_size_and_digest(directory: Path):
    files = manifest(directory).files

    assert set(files) == {*NEEDED, "model.safetensors"}
    assert files["config.json"].size == len("config.json")


def test_one_other_byte_gives_another_digest(directory: Path):
    before = manifest(directory).digest
    (directory / "model.safetensors").write_text("model.safetensorS")

    assert manifest(directory).digest != before


def test_files_that_the_system_leaves_about_do_not_count(directory: Path):
    before = manifest(directory).digest
    (directory / ".DS_Store").write_text("x")

    assert manifest(directory).digest == before


def test_a_directory_that_mlx_lm_could_not_load_is_refused_by_what_it_lacks(directory: Path):
    (directory / "model.safetensors.index.json").unlink()

    with pytest.raises(WeightsDamaged, match=r"seen no model\.safetensors\.index\.json"):
        manifest(directory)
