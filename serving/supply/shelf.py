"""The files of weights on one Mac while they come: what is proven, what has begun, and who waits for more.

A file is written into `DIRECTORY.partial/` and gets its place by a rename once its SHA-256 is the declared one. What
was begun stays there for the next time: its bytes are hashed again, and it goes on where it ended. The receipt beside
the directory vouches for what is in place by size and change time, in the very form that deploys read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Condition, Lock
from typing import BinaryIO

from serving.configuration import File

PIECE_BYTES = 4 * 2**20
"""What is handed on at a time; also what may be lost of a file when power fails."""


class Incoming:
    """One file on its way here; what has come of it may be read by others at once, but for its last piece."""

    def __init__(self, path: Path, final: Path, needed: File) -> None:
        self.path, self.final, self.needed = path, final, needed
        self.moved = Condition()
        self.come = 0
        """Bytes on disk here."""
        self.attempt = 0
        """Counts up when what had come was thrown away."""
        self.is_proven = False
        self.failure = ""
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    def open(self) -> int:
        """Go on with what was begun; returns the bytes that are there already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = self.path.open("r+b" if self.path.exists() else "w+b")
        come, self._hash = 0, hashlib.sha256()
        while piece := stream.read(PIECE_BYTES):
            come += len(piece)
            self._hash.update(piece)
            if come > self.needed.size:
                break
        self._file = stream
        if come > self.needed.size:
            self.start_over()
            return 0
        self._moved_to(come)
        return come

    def write(self, piece: bytes | memoryview) -> None:
        """Take the next bytes. Raises OSError when the disk is full."""
        assert self._file is not None, "open() comes first"  # noqa: S101 - our own order of calls
        self._file.write(piece)
        self._file.flush()
        self._hash.update(piece)
        self._moved_to(self.come + len(piece))

    def start_over(self) -> None:
        """Throw away what has come."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self._hash = hashlib.sha256()
        with self.moved:
            self.come = 0
            self.attempt += 1
            self.moved.notify_all()

    @property
    def digest(self) -> str:
        """SHA-256 of what has come."""
        return self._hash.hexdigest()

    def is_right(self) -> bool:
        """Whether all of it has come, as declared."""
        return self.come == self.needed.size and self.digest == self.needed.sha256

    def close(self) -> None:
        """Leave what has come for the next time."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # a full disk says once more what it has said already
                file.close()

    def place(self) -> None:
        """Put it where it belongs, and let those who wait have its last piece."""
        if self._file is not None:
            os.fsync(self._file.fileno())
        self.close()
        self.path.chmod(0o644)
        self.final.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(self.final)
        self.proven()

    def proven(self) -> None:
        """It is in its place."""
        with self.moved:
            self.come, self.is_proven = self.needed.size, True
            self.moved.notify_all()

    def fail(self, why: str) -> None:
        """Nothing more comes; those who wait are told so."""
        with self.moved:
            self.failure = why
            self.moved.notify_all()

    def readable(self) -> int:
        """How many bytes may be handed on: all but the last piece as long as the whole is not proven.

        So a file that turns out wrong never becomes whole anywhere but here.
        """
        return self.come if self.is_proven else min(self.come, max(self.needed.size - PIECE_BYTES, 0))

    def opened(self) -> BinaryIO:
        """The file to read from, wherever it lies by now."""
        try:
            return self.path.open("rb") if not self.is_proven else self.final.open("rb")
        except FileNotFoundError:
            return self.final.open("rb")  # it was put in place meanwhile

    def _moved_to(self, come: int) -> None:
        with self.moved:
            self.come = come
            self.moved.notify_all()


class WrongAgain(Exception):
    """A file came out wrong twice; its text is the SHA-256 of what came last."""


class Shelf:
    """All files of weights on this Mac."""

    def __init__(self, directory: Path, files: Mapping[str, File]) -> None:
        self.directory = directory
        self.partial = directory.with_name(f"{directory.name}.partial")
        self._receipt = directory.with_name(f"{directory.name}.receipt.json")
        self._writing = Lock()
        self.files = {path: Incoming(self.partial / path, directory / path, needed) for path, needed in files.items()}
        self._vouched = self._vouched_for()
        for path in self._vouched:
            self.files[path].proven()

    def missing(self) -> list[str]:
        """What is not proven here."""
        return [path for path, incoming in self.files.items() if not incoming.is_proven]

    def bring(self, path: str, whole: Callable[[Incoming], None], wrong: Callable[[str], None]) -> None:
        """One file, proven and in its place.

        `whole` gets what is missing of it. What comes out wrong is brought once more, from its beginning; `wrong` is
        told its SHA-256 then. Raises WrongAgain, what `whole` raises, and OSError when the disk is full.
        """
        incoming = self.files[path]
        incoming.open()
        try:
            for is_last in (False, True):
                whole(incoming)
                if incoming.is_right():
                    self.placed(path)
                    return
                seen = incoming.digest
                incoming.start_over()
                if is_last:
                    raise WrongAgain(seen)
                wrong(seen)
        finally:
            incoming.close()

    def placed(self, path: str) -> None:
        """Put a file that is right into its place, and vouch for it."""
        self.files[path].place()
        self.vouch([path])

    def vouch(self, paths: Collection[str]) -> None:
        """Write down of files in their place that they are what was declared."""
        with self._writing:
            for path in paths:
                status, needed = (self.directory / path).stat(), self.files[path].needed
                self._vouched[path] = {**needed.model_dump(), "changed": _changed(status)}
            new = self._receipt.with_name(f"{self._receipt.name}.new")
            new.write_text(json.dumps({"files": self._vouched}))
            new.chmod(0o644)
            new.replace(self._receipt)

    def twin(self, path: str) -> Path | None:
        """A file in another weights directory beside this one that is vouched for and has the very same bytes."""
        needed = self.files[path].needed
        for receipt in sorted(self.directory.parent.glob("*.receipt.json")):
            told = _told(receipt)
            for name, file in told.items() if receipt != self._receipt else ():
                other = receipt.with_name(receipt.name.removesuffix(".receipt.json")) / name
                if _is_as_told(other, needed, file):
                    return other
        return None

    def tidy(self) -> None:
        """Take away what nothing is left in."""
        for directory in sorted((each for each in self.partial.rglob("*") if each.is_dir()), reverse=True):
            directory.rmdir()
        if self.partial.exists():
            self.partial.rmdir()

    def _vouched_for(self) -> dict[str, dict[str, object]]:
        """What the receipt vouches for that is still as it was, and as declared."""
        told = _told(self._receipt)
        return {
            path: dict(told[path])
            for path, incoming in self.files.items()
            if path in told and _is_as_told(incoming.final, incoming.needed, told[path])
        }


def _told(receipt: Path) -> dict[str, dict[str, object]]:
    """What a receipt says of each file; one that is not there, or damaged, vouches for nothing."""
    try:
        return dict(json.loads(receipt.read_text())["files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _is_as_told(path: Path, needed: File, told: object) -> bool:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    seen = {**needed.model_dump(), "changed": _changed(status)}
    return status.st_size == needed.size and told == seen


def _changed(status: os.stat_result) -> str:
    """Change time as stat(1) prints it, seconds with nine decimals."""
    seconds, rest = divmod(status.st_ctime_ns, 10**9)
    return f"{seconds}.{rest:09d}"
