"""Files a command touches on behalf of its caller.

The commands run as root inside the Mac, so what the caller may do is judged here from a file's owner and mode.
Group membership is left out: no path of these commands depends on it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.standin.mac import Call


def may_read(call: Call, path: Path) -> bool:
    """Whether the caller may read an existing file."""
    return call.is_root or _allowed(call, path, stat.S_IRUSR, stat.S_IROTH)


def may_write(call: Call, path: Path) -> bool:
    """Whether the caller may replace a file, or create it in its directory."""
    return call.is_root or _allowed(call, path if path.exists() else path.parent, stat.S_IWUSR, stat.S_IWOTH)


def _allowed(call: Call, path: Path, owner: int, other: int) -> bool:
    seen = path.stat()
    return bool(seen.st_mode & (owner if seen.st_uid == call.uid else other))


def replace(path: Path, content: bytes, uid: int) -> None:
    """Write a file whole, 0644, owned by its writer."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    os.chown(new, uid, -1)
    os.replace(new, path)
