"""What weights are before any of them is on a Mac, kept by the control machine: `LAB.weights/NAME/` in its directory.

A revision is asked for once. What it led to is pinned there, with the small files, so the next deploy asks nobody and
changes nothing, whether the hub can be reached or not. To follow a branch on, remove the directory. What was made of
weights on a Mac (`quantise`) is pinned beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from serving.cluster import Cluster
from serving.configuration import File, Manifest
from serving.declared import Declared, Weights
from serving.errors import SupplyRefused
from serving.hidden import hub_token
from serving.supply.hub import Snapshot, endpoint_of, snapshot
from serving.weights import file, manifest

K = TypeVar("K", bound=Declared)
_SNAPSHOT, _RESULT, _FILES = "repository.json", "quantised.json", "files"


class Result(Declared):
    """What came of quantising: of which manifest, how, and what."""

    source: str
    how: str
    manifest: Manifest


@dataclass(frozen=True)
class Known:
    """Weights as they are to be on the Macs."""

    name: str
    manifest: Manifest
    """What ranks load; of weights that are yet to be quantised, what they are made of."""
    directory: Path
    """On the control machine; it holds config.json, and every file in `here`."""
    here: tuple[str, ...]
    """Files of the source that are sent from the control machine."""
    snapshot: Snapshot | None = None
    source: Manifest | None = None
    """What is to be quantised; None where nothing is."""
    is_pending: bool = False
    """Whether nobody knows yet what quantising makes of them."""


def known(cluster: Cluster, kept: Path, tokens: Mapping[str, str]) -> dict[str, Known]:
    """All weights of a cluster by name; `kept` is the control machine's directory, `tokens` by their secrets' names.

    Raises WeightsDamaged and SupplyRefused.
    """
    places = {each.name: _directory(cluster, kept, each.name) for each in cluster.weights}
    return {each.name: _known(each, places[each.name], tokens.get(hub_token(each.name))) for each in cluster.weights}


def pinning(cluster: Cluster, kept: Path, name: str) -> Callable[[str], None]:
    """What remembers the manifest (JSON) that came of quantising weights."""
    weights = next(each for each in cluster.weights if each.name == name)
    directory = _directory(cluster, kept, name)

    def pin(text: str) -> None:
        result, source = Manifest.model_validate_json(text), _source(weights, directory, None)[0]
        told = Result(source=source.digest, how=how(weights), manifest=result)
        _written(directory / _RESULT, told.model_dump_json(indent=1))

    return pin


def how(weights: Weights) -> str:
    """The settings of quantising, in a word."""
    return f"{weights.quantise}-g{weights.quantise_group}" if weights.quantise_group else str(weights.quantise)


def manifests(known: Mapping[str, Known]) -> dict[str, Manifest]:
    """What ranks load, by the weights' name."""
    return {name: each.manifest for name, each in known.items()}


def _known(weights: Weights, directory: Path, token: str | None) -> Known:
    source, at, here, taken = _source(weights, directory, token)
    if weights.quantise is None:
        return Known(weights.name, source, at, here, taken)
    result = _read(directory / _RESULT, Result)
    if result is None or (result.source, result.how) != (source.digest, how(weights)):
        return Known(weights.name, source, at, here, taken, source, is_pending=True)
    return Known(weights.name, result.manifest, at, here, taken, source)


def _source(
    weights: Weights, directory: Path, token: str | None
) -> tuple[Manifest, Path, tuple[str, ...], Snapshot | None]:
    if weights.path is not None:
        found = manifest(Path(weights.path), is_split=weights.quantise is None)
        return found, Path(weights.path), tuple(found.files), None
    taken = _snapshot(weights, directory, token)
    return _manifest(taken.files), directory / _FILES, taken.here, taken


def _snapshot(weights: Weights, directory: Path, token: str | None) -> Snapshot:
    pinned = _read(directory / _SNAPSHOT, Snapshot)
    asked = (weights.repository, weights.revision)
    if pinned is not None and (pinned.repository, pinned.revision) == asked and _is_whole(pinned, directory / _FILES):
        # A mirror has the same bytes, so another endpoint makes no other weights.
        return pinned.model_copy(update={"endpoint": endpoint_of(weights)})
    if pinned is not None and (pinned.repository, pinned.revision) == asked:
        # Files were lost here; the commit is known, and stays.
        weights = weights.model_copy(update={"revision": pinned.commit})
    taken = snapshot(weights, directory / _FILES, token).model_copy(update={"revision": asked[1]})
    _written(directory / _SNAPSHOT, taken.model_dump_json(indent=1))
    return taken


def _is_whole(pinned: Snapshot, files: Path) -> bool:
    return all((files / path).is_file() and file(files / path) == pinned.files[path] for path in pinned.here)


def _manifest(files: Mapping[str, File]) -> Manifest:
    listing = json.dumps({name: [entry.size, entry.sha256] for name, entry in sorted(files.items())}, sort_keys=True)
    return Manifest(files=dict(sorted(files.items())), digest=hashlib.sha256(listing.encode()).hexdigest())


def _directory(cluster: Cluster, kept: Path, name: str) -> Path:
    return kept / f"{cluster.name}.weights" / name


def _read(path: Path, kind: type[K]) -> K | None:
    try:
        return kind.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise SupplyRefused(
            f"cannot read {path}: {error}. It says which weights were taken; remove {path.parent}, and they are asked "
            "for anew."
        ) from error


def _written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)
