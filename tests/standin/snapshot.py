"""Everything a deploy could have changed on a Mac, in a form that two of can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.standin.mac import Reply

VOLATILE = ("private/tmp", "private/var/run", "private/var/tmp")
"""Left out: what nobody expects to stay."""
LOGS = "private/var/log"
"""Here only names, owners and modes count: what runs writes on."""

# Environments are large and looked at often. Nothing sets a change time back, so a file with the same one is the same.
_digests: dict[tuple[int, int, int, int], str] = {}


def files(disk: Path) -> dict[str, str]:
    """Path on the Mac -> mode, owner and digest of every file, folder and link on its writable disk.

    The memory of macOS itself (accounts, power settings, disabled jobs) is among them, below `memory`.
    """
    return {f"/{path.relative_to(disk)}": _described(path, disk) for path in _walk(disk)}


def jobs(listing: Reply) -> dict[str, str]:
    """`launchd/LABEL` -> pid and last exit status, from `launchctl list` as root."""
    rows = [line.split("\t") for line in listing.stdout.splitlines()[1:]]
    return {f"launchd/{label}": f"pid {pid} status {status}" for pid, status, label in rows}


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What differs between two looks at a Mac: path -> what was there, what is there now; None is nothing.

    For a test that fails: a Mac has thirty thousand files, and one of them is what somebody wants to read about.
    """
    paths = sorted({*before, *after})
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


def _walk(disk: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(disk):
        here = Path(folder)
        folders[:] = [name for name in folders if str((here / name).relative_to(disk)) not in VOLATILE]
        yield from (here / name for name in (*folders, *names))


def _described(path: Path, disk: Path) -> str:
    status = path.lstat()
    return f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {_content(path, disk, status)}"


def _content(path: Path, disk: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return str(path.readlink())
    if not stat.S_ISREG(status.st_mode) or path.is_relative_to(disk / LOGS):
        return "-"
    known = (status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)
    if known not in _digests:
        with path.open("rb") as stream:
            _digests[known] = hashlib.file_digest(stream, "blake2b").hexdigest()[:32]
    return _digests[known]
