"""What is declared of the rack in each trial, and what is deployed from: this checkout, or a copy with one change."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from tests.deploy.running import changed
from tests.faults.rack import declaration
from tests.faults.scene import ROOT
from tests.standin.lab import Lab
from tests.weights import PATH

_INVENTORY = """\
from operations.inventory import declare, hosts
from serving.cluster import Cluster

cluster = declare(Cluster, **{declaration!r})
macs = hosts(cluster)
"""
_LEFT_OUT = (".git", ".venv", ".cidermill", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis")


@dataclass(frozen=True)
class Deploy:
    """An inventory, and the checkout that it is deployed from."""

    inventory: Path
    root: Path = ROOT


def inventory(lab: Lab, name: str, changes: Mapping[str, object] | None = None) -> Path:
    """The rack's inventory with some places changed: `replicas__0__slots=6`."""
    whole = changed(declaration(lab), changes or {})
    file = lab.state / f"{name}.py"
    file.write_text(_INVENTORY.format(declaration=json.loads(json.dumps(whole))))
    return file


def replicas(lab: Lab, **members: str) -> dict[str, object]:
    """The change that makes these replicas, by name their machines: `a="mac-1 mac-2"`."""
    like = declaration(lab)["replicas"][0]
    made: list[dict[str, Any]] = []
    for name, machines in members.items():
        names = machines.split()
        together = {"transport": "ring", "sharding": "tensor"} if len(names) > 1 else {}
        alone = {key: value for key, value in like.items() if key not in ("transport", "sharding")}
        made.append({**alone, "name": name, "machines": names, **together})
    return {"replicas": made}


def weights(directory: Path, number: int) -> Path:
    """The same weights in other bytes: what they say is the same, and no digest is."""
    made = directory / f"weights-{number}"
    shutil.copytree(PATH, made, dirs_exist_ok=True)
    for file in made.glob("*.safetensors"):
        arrays, told = mx.load(str(file), return_metadata=True)
        mx.save_safetensors(str(file), arrays, {**told, "number": str(number)})
    return made


def damaged(directory: Path) -> Path:
    """Weights that load, and say something else."""
    made = directory / "weights-damaged"
    shutil.copytree(PATH, made, dirs_exist_ok=True)
    for file in made.glob("*.safetensors"):
        arrays, told = mx.load(str(file), return_metadata=True)
        mx.save_safetensors(str(file), {name: -array for name, array in arrays.items()}, told)
    return made


def checkout(directory: Path, name: str, file: str, old: str, new: str) -> Path:
    """A copy of this checkout with one change in it, and with the same secrets."""
    made = directory / name
    if made.exists():
        shutil.rmtree(made)
    shutil.copytree(ROOT, made, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    os.symlink(ROOT / ".cidermill", made / ".cidermill")
    path = made / file
    text = path.read_text()
    if old not in text:
        raise ValueError(f"cannot change {file}: there is no {old!r} in it")
    path.write_text(text.replace(old, new, 1))
    return made
