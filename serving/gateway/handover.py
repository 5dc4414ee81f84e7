"""How one gateway takes over from another on the same machine without a moment in which nobody listens.

The new one asks the old one for its listening socket, over a Unix socket that only the service account may use. Both
then take clients from the same queue of the kernel's, so that none is turned away; the old one stops when it is told to
end. Where there is no other, or it listens somewhere else, the new one listens by itself. Works alike on macOS and
Linux (`SCM_RIGHTS`), which SO_REUSEPORT does not.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "gateway.door"
_ASK_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.2


async def listening(address: str, port: int, directory: Path) -> socket.socket:
    """A socket that listens at this address: the other gateway's, or one of our own as soon as it can be had."""
    given = await asyncio.to_thread(_asked, directory / NAME)
    if given is not None:
        if given.getsockname()[:2] == (address, port):
            logging.info("This gateway takes over from the one before it")
            return given
        given.close()
    told = False
    while True:
        try:
            return _own(address, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if not told:
                logging.warning("Somebody else listens at %s:%d; this gateway waits until it can", address, port)
                told = True
        await asyncio.sleep(_AGAIN_SECONDS)  # another process's end, with nothing to wait on


class Giver:
    """Gives a listening socket to whoever may ask, until it is closed. The newest one is asked."""

    def __init__(self, listener: socket.socket, directory: Path) -> None:
        self._listener = listener
        path, new = directory / NAME, directory / f"{NAME}.{os.getpid()}"
        with suppress(FileNotFoundError):
            new.unlink()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(new))
        new.chmod(0o600)
        self._door.listen()
        self._door.setblocking(False)
        new.rename(path)
        asyncio.get_running_loop().add_reader(self._door, self._give)

    def close(self) -> None:
        """Give it to nobody any more."""
        if self._door.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._door)
            self._door.close()

    def _give(self) -> None:
        with suppress(OSError):
            asking, _ = self._door.accept()
            with asking:
                socket.send_fds(asking, [b"."], [self._listener.fileno()])


def private_path(directory: Path, release: str) -> Path:
    """Where a gateway of this release answers who wants to know whether it works, before clients do."""
    return directory / f"{release}.sock"


def _asked(path: Path) -> socket.socket | None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_ASK_SECONDS)
        try:
            asking.connect(str(path))
            _, (descriptor, *_), *_ = socket.recv_fds(asking, 1, 1)
        except (OSError, ValueError):
            return None  # nobody is there, or somebody who is just leaving
    return socket.socket(fileno=descriptor)


def _own(address: str, port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((address, port))
        made.listen(2048)
    except OSError:
        made.close()
        raise
    return made
