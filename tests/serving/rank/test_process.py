"""The rank process by itself, as its agent starts it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from subprocess import run

from serving.rank.status import Exit, RankSpec, RankStatus, read_status
from serving.weights import NEEDED, manifest
from tests.serving.replicas import replica

ALONE = {"transport": None, "sharding": None, "ring": (), "members": replica().members[:1]}


def ended(directory: Path, weights: Path, leave: tuple[str, ...] = (), **changes: object) -> tuple[int, RankStatus]:
    """Exit code and last status of a rank whose agent goes away at once."""
    declared = manifest(weights)
    for name in leave:
        (weights / name).unlink()
    spec = RankSpec(
        machine="mac-1",
        generation=1,
        replica=replica(weights_directory=str(weights), manifest=declared, **changes),
        transport_file=str(directory / "transport.json"),
        status_file=str(directory / "status.json"),
        tick_file=str(directory / "ticks"),
    )
    path = directory / "spec.json"
    path.write_text(spec.model_dump_json())
    done = run([sys.executable, "-m", "serving.rank.process", str(path)], input=b"", capture_output=True, check=False)
    status = read_status(directory / "status.json")
    assert status is not None, done.stderr
    return done.returncode, status


def weights(directory: Path) -> Path:
    """Files enough to be taken for weights."""
    made = directory / "weights"
    made.mkdir()
    for name in (*NEEDED, "model.safetensors"):
        (made / name).write_text(json.dumps({}))
    return made


def test_weights_that_are_not_the_declared_ones_are_refused_for_good(tmp_path: Path):
    code, status = ended(tmp_path, weights(tmp_path), ("model.safetensors",), **ALONE)

    assert (code, status.phase, status.curable) == (Exit.WEIGHTS_DAMAGED, "refused", False)
    assert status.reason.startswith("cannot serve 'cider-1' on mac-1: model.safetensors is missing")


def test_a_transport_that_is_not_in_this_build_is_refused_for_good(tmp_path: Path):
    code, status = ended(tmp_path, weights(tmp_path), transport="jaccl-ring", coordinator="127.0.0.1:1")

    assert (code, status.phase, status.curable) == (Exit.TRANSPORT_REFUSED, "refused", False)
    assert "jaccl-ring is not in this MLX build (mlx 0.32.4" in status.reason


def test_a_rank_whose_agent_goes_away_before_it_is_let_in_ends(tmp_path: Path):
    code, status = ended(tmp_path, weights(tmp_path), **ALONE)

    assert (code, status.phase) == (Exit.ABANDONED, "ended")
    assert (status.mlx, status.mlx_lm) == ("0.32.4", "0.32.2")
    assert status.pid != os.getpid()
