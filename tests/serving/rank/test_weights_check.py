from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import WeightsDamaged
from serving.rank.weights_check import verify
from serving.weights import NEEDED, manifest


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for name in (*NEEDED, "model.safetensors"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    return tmp_path


def problem(weights: Path, damage: str, content: bytes | None) -> str:
    """What is said when one file was changed after the manifest was made."""
    declared = manifest(weights)
    path = weights / damage
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsDamaged) as damaged:
        verify("w", "mac-2", weights, declared)
    return str(damaged.value)


def test_weights_as_declared_pass(weights: Path):
    verify("w", "mac-2", weights, manifest(weights))


def test_one_wrong_byte_is_named_with_its_file_and_machine(weights: Path):
    content = (weights / "model.safetensors").read_bytes()

    said = problem(weights, "model.safetensors", b"M" + content[1:])

    assert said.startswith("cannot serve 'w' on mac-2: model.safetensors has SHA-256 ")
    assert said.endswith("Run the deploy again to have it sent anew.")


def test_a_missing_file_is_told(weights: Path):
    assert "model.safetensors is missing, needed 1700 bytes" in problem(weights, "model.safetensors", None)


def test_a_cut_file_is_told_without_reading_it(weights: Path):
    assert "config.json has 3 bytes, needed 1100" in problem(weights, "config.json", b"cut")


def test_a_file_that_mlx_lm_would_load_too_is_told(weights: Path):
    assert "model-2.safetensors is there and would be loaded" in problem(weights, "model-2.safetensors", b"x")


def test_other_extra_files_do_not_matter(weights: Path):
    declared = manifest(weights)
    (weights / "README.md").write_text("hello")

    verify("w", "mac-2", weights, declared)
