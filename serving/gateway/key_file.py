"""The file of keys as it is now: looked at with every request and every second, and read again when it is another one.

The deploy moves a new file into place whole. A request that comes after that meets the new keys; one that is under way
is not disturbed. A file that is damaged or gone changes nothing: the last good one counts on, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from serving.errors import KeysUnreadable
from serving.gateway.keys import Key, parsed

_LOOK_SECONDS: Final = 1.0

_Identity = tuple[int, int, int, int] | None


class KeyFile:
    """The keys in a file. Raises KeysUnreadable when there are none to begin with: then nobody could come in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity, self._keys = self._read()

    def keys(self) -> tuple[Key, ...]:
        """The keys as they are now, or were when the file was last whole."""
        identity = self._look()
        if identity != self._identity:
            # Said once of each change: this is asked with every request.
            self._identity = identity
            try:
                self._identity, self._keys = self._read()
            except KeysUnreadable as fault:
                logging.error("%s. The %d keys from before it changed stay valid.", fault, len(self._keys))  # noqa: TRY400  # no traceback: the fault says it
            else:
                logging.info("Keys have changed; there are %d now", len(self._keys))
        return self._keys

    async def watch(self) -> None:
        """Look by itself as well, until cancelled: the log tells of a change that nobody has met yet."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.keys()

    def _look(self) -> _Identity:
        try:
            return _identity(os.stat(self._path))
        except OSError:
            return None

    def _read(self) -> tuple[_Identity, tuple[Key, ...]]:
        try:
            with self._path.open("rb") as file:
                return _identity(os.fstat(file.fileno())), parsed(file.read())
        except OSError as error:
            raise KeysUnreadable(f"cannot read the keys in {self._path}: {error.strerror}") from error
        except KeysUnreadable as fault:
            raise KeysUnreadable(f"{fault} (in {self._path})") from fault


def _identity(seen: os.stat_result) -> tuple[int, int, int, int]:
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size
