"""A weights directory as a manifest: which files, how large, which bytes.

mlx-lm loads with `strict=False`: a missing or damaged file gives random weights and no word (0.32.2). So the manifest,
made once on the control machine, is what every rank compares its own disk with before it loads. Hundreds of gigabytes
take minutes to hash, so what was hashed is kept in `~/.cache/cidermill/digests.json` and believed as long as the file's
size, inode and change time are the same. Change time, not modification time: it cannot be set back.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.configuration import File, Manifest
from serving.errors import WeightsDamaged

DIGESTS = Path.home() / ".cache" / "cidermill" / "digests.json"
INDEX = "model.safetensors.index.json"
NEEDED = ("config.json", INDEX, "tokenizer_config.json")
"""Without these mlx-lm cannot load weights in every sharding."""


def manifest(directory: Path, digests: Path = DIGESTS, *, is_split: bool = True) -> Manifest:
    """The manifest of a directory; hidden files are not part of it. Raises WeightsDamaged when it is no weights.

    Unless `is_split`, it may be without the index that every sharding needs.
    """
    missing = [name for name in NEEDED if (is_split or name != INDEX) and not (directory / name).is_file()]
    if missing:
        raise WeightsDamaged(
            f"cannot use the weights in {directory}: seen no {', '.join(missing)}, needed what mlx-lm loads. "
            "Convert them with mlx_lm.convert, or correct path= in the inventory."
        )
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and not _hidden(path.relative_to(directory)))
    known = _known(digests)

    def hashed_once(path: Path) -> File:
        return known.get(_mark(path)) or file(path)

    with ThreadPoolExecutor() as pool:
        hashed = dict(zip(paths, pool.map(hashed_once, paths), strict=True))
    _keep(digests, known | {_mark(path): entry for path, entry in hashed.items()}, before=known)
    files = {path.relative_to(directory).as_posix(): entry for path, entry in hashed.items()}
    listing = json.dumps({name: [entry.size, entry.sha256] for name, entry in files.items()}, sort_keys=True)
    return Manifest(files=files, digest=hashlib.sha256(listing.encode()).hexdigest())


def called(name: str, manifest: Manifest) -> str:
    """The name of a weights directory: other weights of the same name get another and never disturb those in use."""
    return f"{name}-{manifest.digest[:12]}"


def file(path: Path) -> File:
    """Size and SHA-256 of one file."""
    with path.open("rb") as stream:
        return File(size=path.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def _mark(path: Path) -> str:
    """What a file is known by as long as nobody writes to it."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_ino} {status.st_ctime_ns}"


def _known(digests: Path) -> dict[str, File]:
    try:
        return {mark: File.model_validate(entry) for mark, entry in json.loads(digests.read_text()).items()}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}  # never made, or damaged: then everything is hashed again


def _keep(digests: Path, entries: dict[str, File], *, before: dict[str, File]) -> None:
    if entries == before:
        return
    there = {mark: entry.model_dump() for mark, entry in entries.items() if Path(mark.rsplit(" ", 3)[0]).exists()}
    digests.parent.mkdir(parents=True, exist_ok=True)
    new = digests.with_name(f".{digests.name}.{os.getpid()}")
    new.write_text(json.dumps(there))
    new.replace(digests)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
