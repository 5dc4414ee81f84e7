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
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from serving.anatomy.quantising import Quantisation, converted
from serving.anatomy.values import Anatomy
from serving.cluster import Cluster
from serving.configuration import Manifest
from serving.declared import Weights
from serving.errors import WeightsUnreadable
from serving.seen import Problem

ANATOMIES = Path.home() / ".cache" / "cidermill" / "anatomies"
MORE = (2, 4, 8)
"""Tensor splits that are looked at beside those over as many machines as a replica has: they might be what works."""

_ANATOMY = TypeAdapter(Anatomy)


class Lying(Protocol):
    """Weights as far as they lie on the machine that deploys: at least their config.json."""

    @property
    def manifest(self) -> Manifest:
        """Says which weights they are."""
        ...

    @property
    def directory(self) -> Path:
        """Where they lie."""
        ...


def anatomies(cluster: Cluster, lying: Mapping[str, Lying], kept: Path = ANATOMIES) -> dict[str, Anatomy | Problem]:
    """What each of a cluster's weights is, by their name, with the tensor splits that its replicas could be given.

    Those that are quantised on a Mac are told as what becomes of them.
    """
    found: dict[str, Anatomy | Problem] = {}
    for weights in cluster.weights:
        most = max((len(each.machines) for each in cluster.replicas if each.weights == weights.name), default=1)
        ranks = sorted({*range(2, most + 1), *MORE})
        try:
            there = lying[weights.name]
            anatomy = kept_anatomy(there.directory, there.manifest, ranks, kept, declared_of(weights))
        except WeightsUnreadable as refusal:
            found[weights.name] = Problem(problem=str(refusal))
        else:
            found[weights.name] = replace(anatomy, name=weights.name)
    return found


def declared_of(weights: Weights) -> Quantisation | None:
    """What is declared to be made of weights."""
    return None if weights.quantise is None else converted(weights.quantise, weights.quantise_group)


def kept_anatomy(
    directory: Path,
    manifest: Manifest,
    ranks: Iterable[int],
    kept: Path = ANATOMIES,
    quantisation: Quantisation | None = None,
) -> Anatomy:
    """The anatomy of a directory whose files are those of the manifest, or of what is made of it.

    Raises WeightsUnreadable.
    """
    path = kept / f"{_digest(manifest, ranks := list(ranks), quantisation)}.json"
    try:
        return _ANATOMY.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass  # never looked at, or damaged
    anatomy = _looked_at(directory, ranks, quantisation)
    kept.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(_ANATOMY.dump_json(anatomy))
    new.replace(path)
    return anatomy


def _looked_at(directory: Path, ranks: Iterable[int], quantisation: Quantisation | None) -> Anatomy:
    try:
        from serving.anatomy.reading import from_directory  # loads MLX
    except ImportError as error:
        raise WeightsUnreadable(
            f"cannot tell what the weights in {directory} need: seen no mlx-lm here ({error}), needed the one that "
            "Macs serve with. Run `uv sync` in the checkout."
        ) from error
    return from_directory(directory, quantisation).anatomy(ranks)


def _digest(manifest: Manifest, ranks: list[int], quantisation: Quantisation | None) -> str:
    looking = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        looking.update(path.read_bytes())
    of = [manifest.digest, str(quantisation), ranks, _version("mlx"), _version("mlx-lm"), looking.hexdigest()]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
