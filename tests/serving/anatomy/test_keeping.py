import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest
from mlx_lm import convert

from serving.anatomy.keeping import anatomies, kept_anatomy
from serving.anatomy.reading import from_directory
from serving.anatomy.values import Anatomy
from serving.cluster import Cluster
from serving.configuration import Manifest
from serving.seen import Problem
from serving.weights import manifest
from tests.serving.declarations import declared
from tests.weights import PATH

AGAIN = """
import sys
from pathlib import Path
from serving.anatomy.keeping import kept_anatomy
from serving.weights import manifest
weights, kept = Path(sys.argv[1]), Path(sys.argv[2])
print(kept_anatomy(weights, manifest(weights), [2], kept).bytes, "mlx" in sys.modules)
"""


@dataclass(frozen=True)
class Lying:
    manifest: Manifest
    directory: Path


def of_these(directory: Path, **changes: object) -> Cluster:
    return declared(weights__0__path=str(directory), **changes)


def lying(directory: Path) -> dict[str, Lying]:
    return {"w": Lying(manifest(directory), directory)}


def test_what_is_kept_is_what_was_seen(tmp_path: Path):
    seen = kept_anatomy(PATH, manifest(PATH), [2], tmp_path)

    assert seen == from_directory(PATH).anatomy([2])
    assert kept_anatomy(PATH, manifest(PATH), [2], tmp_path) == seen
    assert len(list(tmp_path.iterdir())) == 1


def test_weights_that_were_looked_at_are_known_again_without_loading_mlx(tmp_path: Path):
    seen = kept_anatomy(PATH, manifest(PATH), [2], tmp_path)
    again = subprocess.run(
        [sys.executable, "-c", AGAIN, str(PATH), str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert again.stdout.split() == [str(seen.bytes), "False"]


def test_what_was_damaged_where_it_is_kept_is_looked_at_again(tmp_path: Path):
    seen = kept_anatomy(PATH, manifest(PATH), [2], tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:100])

    assert kept_anatomy(PATH, manifest(PATH), [2], tmp_path) == seen


def test_other_bytes_under_the_same_path_are_looked_at(tmp_path: Path):
    weights = copytree(PATH, tmp_path / "weights")
    kept_anatomy(weights, manifest(weights), [2], tmp_path / "kept")
    config = (weights / "config.json").read_text()
    (weights / "model.safetensors").unlink()
    (weights / "config.json").write_text(config.replace('"num_hidden_layers": 12', '"num_hidden_layers": 6'))

    assert len(kept_anatomy(weights, manifest(weights), [2], tmp_path / "kept").layers) == 6


def test_the_weights_of_a_cluster_are_known_by_their_declared_name_and_by_the_splits_of_its_replicas(tmp_path: Path):
    (found,) = anatomies(of_these(PATH), lying(PATH), tmp_path).values()

    assert isinstance(found, Anatomy)
    assert (found.name, set(found.tensor)) == ("w", {2, 4, 8})


@pytest.mark.parametrize(("words", "group"), [("4bit", None), ("8bit", 32), ("mxfp4", None)])
def test_weights_to_be_quantised_are_known_as_what_mlx_lms_convert_makes_of_them(
    tmp_path: Path, words: str, group: int | None
):
    wanted = {"weights__0__quantise": words} | ({"weights__0__quantise_group": group} if group else {})
    (found,) = anatomies(of_these(PATH, **wanted), lying(PATH), tmp_path / "kept").values()
    mode = {"q_bits": int(words[0]), "q_group_size": group} if words.endswith("bit") else {"q_mode": words}
    convert(str(PATH), str(tmp_path / "made"), quantize=True, **mode)
    made = from_directory(tmp_path / "made").anatomy([2, 4, 8])

    assert isinstance(found, Anatomy)
    assert found.bytes == made.bytes
    assert [layer.bytes for layer in found.layers] == [layer.bytes for layer in made.layers]


def test_weights_that_mlx_lm_cannot_run_are_a_problem_and_not_the_end(tmp_path: Path):
    weights = copytree(PATH, tmp_path / "weights")
    (weights / "config.json").write_text('{"model_type": "not-yet-invented"}')

    (found,) = anatomies(of_these(weights), lying(weights), tmp_path / "kept").values()

    assert isinstance(found, Problem)
    assert "not-yet-invented" in found.problem
