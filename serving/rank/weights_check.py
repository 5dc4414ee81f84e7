"""Whether a weights directory is byte for byte what its manifest says, asked by every rank before it loads.

mlx-lm 0.32.2 loads every `*.safetensors` in the directory and takes what is missing as random numbers, so both a
missing and an additional file are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.configuration import Manifest
from serving.errors import WeightsDamaged
from serving.weights import file

_AGAIN = "Run the deploy again to have it sent anew."


def verify(weights: str, machine: str, directory: Path, manifest: Manifest) -> None:
    """Compare every file, sizes first. Raises WeightsDamaged naming each wrong file."""
    wrong = list(_missized(directory, manifest)) or list(_changed(directory, manifest))
    if wrong:
        raise WeightsDamaged(f"cannot serve '{weights}' on {machine}: {'; '.join(wrong)}. {_AGAIN}")


def _missized(directory: Path, manifest: Manifest) -> Iterator[str]:
    for name, needed in manifest.files.items():
        path = directory / name
        if not path.is_file():
            yield f"{name} is missing, needed {needed.size} bytes"
        elif path.stat().st_size != needed.size:
            yield f"{name} has {path.stat().st_size} bytes, needed {needed.size}"
    for path in sorted(directory.glob("*.safetensors")):
        if path.name not in manifest.files:
            yield f"{path.name} is there and would be loaded, needed only the declared files"


def _changed(directory: Path, manifest: Manifest) -> Iterator[str]:
    with ThreadPoolExecutor() as pool:
        seen = pool.map(file, (directory / name for name in manifest.files))
        yield from (
            f"{name} has SHA-256 {found.sha256[:12]}…, needed {needed.sha256[:12]}…"
            for (name, needed), found in zip(manifest.files.items(), seen, strict=True)
            if found.sha256 != needed.sha256
        )
