"""What a rank is told, what it says of itself, and the counter that shows its generation loop moving.

A rank talks to its agent through three files in the agent's state directory, so that neither needs the other's event
loop: RankSpec (read once), RankStatus (replaced whole at each change) and a few bytes of ticks (mapped into memory).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import ConfigDict, Field, ValidationError

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared

Phase = Literal["checking", "checked", "joining", "loading", "serving", "refused", "ended"]
"""`checked` waits to be let in: collectives have a connect window of seconds, hashing weights takes minutes."""

Activity = Literal["idle", "decoding", "prefilling"]
"""What the generation loop is at between two ticks. Reading one chunk of a long prompt is a single step."""

_ACTIVITIES: tuple[Activity, ...] = get_args(Activity)
# Two threads write, each its own part.
_STEP, _BEAT = struct.Struct("<QB"), struct.Struct("<Q")


class Exit(IntEnum):
    """Exit codes of a rank; the numbers follow sysexits(3)."""

    WEIGHTS_DAMAGED = 65
    TRANSPORT_REFUSED = 69
    GENERATION_ENDED = 70
    ABANDONED = 75
    NOT_JOINED = 76
    LAYERS_REFUSED = 78


@contextmanager
def ending(code: Exit) -> Generator[None]:
    """End the process with this code after the block, whatever goes wrong in it: a full disk, a closed log."""
    try:
        yield
    finally:
        os._exit(code)


class RankSpec(Declared):
    """What the agent tells the rank it starts."""

    machine: str
    generation: int
    replica: ReplicaConfiguration
    transport_file: str | None
    """Hostfile (ring) or device matrix (JACCL); None for one machine."""
    status_file: str
    tick_file: str


class Collective(Declared):
    """A reduction over all ranks, as one of them sees it: `serving.rank.collective`."""

    model_config = ConfigDict(extra="ignore")

    seconds: float
    """For a small one, a kernel before it included."""
    bytes_per_second: float | None
    """Of a large one, beyond that; None where it took no longer."""
    small_bytes: int
    large_bytes: int
    spread: float
    """Half of what lay between the fastest and the slowest round of small ones, as a share of their median."""


class RankStatus(Declared):
    """What a rank says of itself. Beyond `joining` everything is as MLX reports it, not as it was declared."""

    # Agents read those of other releases while one is rolled out: what a reader does not know it passes over.
    model_config = ConfigDict(extra="ignore")

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
    layers: Annotated[tuple[int, int], Field(strict=False)] | None = None
    """In a pipeline: the first layer this rank holds, and the first one after its last."""
    weights_bytes: int | None = None
    """Of all arrays of the weights that this rank holds, as MLX counts them."""
    digest: str | None = None
    """Digest of the manifest that every file on disk was compared with."""
    mlx: str | None = None
    mlx_lm: str | None = None
    collective: Collective | None = None
    """None for one machine alone, and before the ranks have met."""


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
    """Two counters that any process can read while the one that advances them is stuck."""

    def __init__(self, path: str) -> None:
        Path(path).write_bytes(bytes(_STEP.size + _BEAT.size))
        descriptor = os.open(path, os.O_RDWR)
        self._memory = mmap.mmap(descriptor, _STEP.size + _BEAT.size)
        os.close(descriptor)
        self._count = self._beats = 0

    def advance(self, activity: Activity) -> None:
        """Count one step of the generation loop, and say what the next one is."""
        self._count += 1
        _STEP.pack_into(self._memory, 0, self._count, _ACTIVITIES.index(activity))

    def beat(self) -> None:
        """Show that the process runs at all, whatever its generation loop waits for."""
        self._beats += 1
        _BEAT.pack_into(self._memory, _STEP.size, self._beats)


class Tick(NamedTuple):
    """How far a rank's counters are."""

    steps: int
    beats: int
    activity: Activity


def read_tick(path: Path) -> Tick | None:
    """How far the counters are, or None when no rank has made them."""
    try:
        content = path.read_bytes()
        steps, activity = _STEP.unpack_from(content)
        (beats,) = _BEAT.unpack_from(content, _STEP.size)
        return Tick(steps, beats, _ACTIVITIES[activity])
    except (FileNotFoundError, struct.error, IndexError):
        return None
