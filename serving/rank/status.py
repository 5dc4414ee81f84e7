"""What a rank is told, what it says of itself, and the counter that shows its generation loop moving.

A rank talks to its agent through three files in the agent's state directory, so that neither needs the other's event
loop: RankSpec (read once), RankStatus (replaced whole at each change) and eight bytes of ticks (mapped into memory).
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared

Phase = Literal["checking", "checked", "joining", "loading", "serving", "refused", "ended"]
"""`checked` waits to be let in: collectives have a connect window of seconds, hashing weights takes minutes."""

_TICK = struct.Struct("<Q")


class Exit(IntEnum):
    """Exit codes of a rank; the numbers follow sysexits(3)."""

    WEIGHTS_DAMAGED = 65
    TRANSPORT_REFUSED = 69
    GENERATION_ENDED = 70
    ABANDONED = 75
    NOT_JOINED = 76


class RankSpec(Declared):
    """What the agent tells the rank it starts."""

    machine: str
    generation: int
    replica: ReplicaConfiguration
    transport_file: str | None
    """Hostfile (ring) or device matrix (JACCL); None for one machine."""
    status_file: str
    tick_file: str


class RankStatus(Declared):
    """What a rank says of itself. Beyond `joining` everything is as MLX reports it, not as it was declared."""

    machine: str
    generation: int
    pid: int
    phase: Phase
    reason: str = ""
    curable: bool = True
    """False when starting again cannot help: a person must change something."""
    transport: str | None = None
    rank: int | None = None
    size: int | None = None
    digest: str | None = None
    """Digest of the manifest that every file on disk was compared with."""
    mlx: str | None = None
    mlx_lm: str | None = None


class StatusFile:
    """The rank's own status, on disk after each change."""

    def __init__(self, path: str, status: RankStatus) -> None:
        self._path = Path(path)
        self._status = status
        self.report()

    def report(self, **changes: Any) -> None:
        """Change some fields and replace the file atomically."""
        self._status = RankStatus.model_validate(self._status.model_dump() | changes)
        replace(self._path, self._status.model_dump_json())


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new, never a part."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def read_status(path: Path) -> RankStatus | None:
    """The status a rank left there, or None when it has not written one yet."""
    try:
        return RankStatus.model_validate_json(path.read_text())
    except (FileNotFoundError, ValidationError):
        return None


class Ticks:
    """A counter that any process can read while the one that advances it is stuck."""

    def __init__(self, path: str) -> None:
        Path(path).write_bytes(bytes(_TICK.size))
        descriptor = os.open(path, os.O_RDWR)
        self._memory = mmap.mmap(descriptor, _TICK.size)
        os.close(descriptor)
        self._count = 0

    def advance(self) -> None:
        """Count one step of the generation loop."""
        self._count += 1
        _TICK.pack_into(self._memory, 0, self._count)


def read_ticks(path: Path) -> int | None:
    """How far the counter is, or None when no rank has made one."""
    try:
        (count,) = _TICK.unpack(path.read_bytes())
    except (FileNotFoundError, struct.error):
        return None
    return count
