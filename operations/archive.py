"""A directory as one file that is the same, byte for byte, whenever and wherever it is packed."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from functools import lru_cache
from pathlib import Path

# Wheels are compressed badly by any level and travel over a fast network; the lowest costs the least time.
_LEVEL = 1


def pack(tree: Path, archive: Path) -> None:
    """Write everything under `tree` as a gzipped tar: sorted, without times and owners, modes 755 or 644."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(tree.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(tree)), recursive=False, filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


@lru_cache
def sha256_of(path: Path) -> str:
    """The SHA-256 of a file that does not change while this process runs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
