"""A weights directory as a manifest: which files, how large, which bytes.

mlx-lm loads with `strict=False`: a missing or damaged file gives random weights and no word (0.32.2). So the manifest,
made once on the control machine, is what every rank compares its own disk with before it loads.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from serving.cluster import Cluster
from serving.configuration import File, Manifest
from serving.errors import WeightsDamaged

NEEDED = ("config.json", "model.safetensors.index.json", "tokenizer_config.json")
"""Without these mlx-lm cannot load weights in every sharding."""


@cache
def manifests(cluster: Cluster) -> dict[str, Manifest]:
    """The manifest of each of the cluster's weights, by name, read on the machine this runs on."""
    return {weights.name: manifest(Path(weights.path)) for weights in cluster.weights}


def manifest(directory: Path) -> Manifest:
    """The manifest of a directory; hidden files are not part of it. Raises WeightsDamaged when it is no weights."""
    missing = [name for name in NEEDED if not (directory / name).is_file()]
    if missing:
        raise WeightsDamaged(
            f"cannot use the weights in {directory}: seen no {', '.join(missing)}, needed what mlx-lm loads. "
            "Convert them with mlx_lm.convert, or correct path= in the inventory."
        )
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and not _hidden(path.relative_to(directory)))
    with ThreadPoolExecutor() as pool:
        files = dict(
            zip((path.relative_to(directory).as_posix() for path in paths), pool.map(file, paths), strict=True)
        )
    listing = json.dumps({name: [entry.size, entry.sha256] for name, entry in files.items()}, sort_keys=True)
    return Manifest(files=files, digest=hashlib.sha256(listing.encode()).hexdigest())


def file(path: Path) -> File:
    """Size and SHA-256 of one file."""
    with path.open("rb") as stream:
        return File(size=path.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
