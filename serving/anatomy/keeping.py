"""The anatomies of a cluster's weights, worked out once and kept on the machine that deploys.

To look at weights takes MLX and seconds; their files and the software that looked say whether it would see the same
again. So what was seen is kept in `~/.cache/cidermill/anatomies/`, under the digest of all of that, and a deploy that
changes nothing does not load MLX at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from serving.anatomy.values import Anatomy
from serving.cluster import Cluster
from serving.configuration import Manifest
from serving.errors import WeightsUnreadable
from serving.seen import Problem

ANATOMIES = Path.home() / ".cache" / "cidermill" / "anatomies"
MORE = (2, 4, 8)
"""Tensor splits that are looked at beside those over as many machines as a replica has: they might be what works."""

_ANATOMY = TypeAdapter(Anatomy)


def anatomies(
    cluster: Cluster, manifests: Mapping[str, Manifest], kept: Path = ANATOMIES
) -> dict[str, Anatomy | Problem]:
    """What each of a cluster's weights is, by their name, with the tensor splits that its replicas could be given."""
    found: dict[str, Anatomy | Problem] = {}
    for weights in cluster.weights:
        most = max((len(each.machines) for each in cluster.replicas if each.weights == weights.name), default=1)
        ranks = sorted({*range(2, most + 1), *MORE})
        try:
            anatomy = kept_anatomy(Path(weights.path), manifests[weights.name], ranks, kept)
        except WeightsUnreadable as refusal:
            found[weights.name] = Problem(problem=str(refusal))
        else:
            found[weights.name] = replace(anatomy, name=weights.name)
    return found


def kept_anatomy(directory: Path, manifest: Manifest, ranks: Iterable[int], kept: Path = ANATOMIES) -> Anatomy:
    """The anatomy of a directory whose files are those of the manifest. Raises WeightsUnreadable."""
    path = kept / f"{_digest(manifest, ranks := list(ranks))}.json"
    try:
        return _ANATOMY.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass  # never looked at, or damaged
    anatomy = _looked_at(directory, ranks)
    kept.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(_ANATOMY.dump_json(anatomy))
    new.replace(path)
    return anatomy


def _looked_at(directory: Path, ranks: Iterable[int]) -> Anatomy:
    try:
        from serving.anatomy.reading import from_directory  # loads MLX
    except ImportError as error:
        raise WeightsUnreadable(
            f"cannot tell what the weights in {directory} need: seen no mlx-lm here ({error}), needed the one that "
            "Macs serve with. Run `uv sync` in the checkout."
        ) from error
    return from_directory(directory).anatomy(ranks)


def _digest(manifest: Manifest, ranks: list[int]) -> str:
    looking = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        looking.update(path.read_bytes())
    of = [manifest.digest, ranks, _version("mlx"), _version("mlx-lm"), looking.hexdigest()]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
