"""Files on their way to a machine.

pyinfra says nothing while a large file travels, and with sudo it writes the file twice, the second time readable to
all. Here a file goes by the login user into a directory only that user can open, and its progress is told; root takes
it from there. Checked with pyinfra 3.10, paramiko 5.
"""

from __future__ import annotations

import io
import secrets
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, cast

from paramiko import SSHException
from paramiko.sftp import SFTPError
from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.exceptions import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.local import LocalConnector

from operations.remote import complain, run

_PROGRESS_SECONDS = 10.0
_COPY_SECONDS = 3600
_MEGABYTE = 10**6
_WORTH_TELLING = 5 * _MEGABYTE


class CannotSend(DeployError):
    """A file could not be had or sent. At the level of a deploy file it ends the run with its text alone."""


def private_directory() -> str:
    """A path for a directory that nobody else can guess or open; make it with `made`."""
    return f"/tmp/cidermill-{secrets.token_hex(8)}"  # noqa: S108 - unguessable, and mkdir refuses one that is there


def made(directory: str) -> StringCommand:
    """The command by which the login user makes a private directory."""
    return StringCommand(f"umask 077 && mkdir {shlex.quote(directory)}", _sudo=False)


def sent(source: Callable[[], Path], destination: str) -> FunctionCommand:
    """The command that sends a file into a private directory; `source` makes the file when it is needed first.

    On failure the private directory is removed. `source` may raise CannotSend.
    """
    return FunctionCommand(_send, (source, destination), {})


def _send(state: State, host: Host, source: Callable[[], Path], destination: str) -> bool:  # noqa: ARG001 - pyinfra passes it
    try:
        _put(host, source(), destination)
    except (CannotSend, OSError, EOFError, SSHException, SFTPError) as error:
        complain(host, f"cannot send {destination.rpartition('/')[2]}: {error}")
        with suppress(OSError, EOFError, SSHException):  # perhaps the machine is gone; what is left is in its /tmp
            run(host, f"rm -rf {shlex.quote(destination.rpartition('/')[0])}", timeout_seconds=60)
        return False
    return True


def _put(host: Host, source: Path, destination: str) -> None:
    size = source.stat().st_size
    tell = host.log if size >= _WORTH_TELLING else _nothing
    tell(f"Sending {source.name}, {_megabytes(size)}")
    began = monotonic()
    if isinstance(host.connector, LocalConnector):
        # The connector would read all of it into memory.
        copied, output = run(host, shlex.join(("cp", str(source), destination)), timeout_seconds=_COPY_SECONDS)
        if not copied:
            raise CannotSend(output.stderr)
    else:
        with source.open("rb") as file, Metered(file, size, host.log) as metered:
            cast("Any", host).put_file(metered, destination)
    seconds = max(monotonic() - began, 0.001)
    tell(f"Sent {source.name} in {seconds:.1f} s, {size / _MEGABYTE / seconds:.0f} MB/s")


class Metered(io.RawIOBase):
    """A file being read that tells every few seconds how far it is."""

    def __init__(self, file: io.BufferedReader, size: int, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._file, self._size, self._tell = file, size, tell
        self._told = monotonic()

    def read(self, size: int = -1) -> bytes:
        """Read on, and tell when it is time."""
        block = self._file.read(size)
        if monotonic() - self._told >= _PROGRESS_SECONDS:
            self._told = monotonic()
            self._tell(f"  {_megabytes(self._file.tell())} of {_megabytes(self._size)}")
        return block

    def readable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere in the file, as before another attempt."""
        return self._file.seek(offset, whence)


def _nothing(_: str) -> None:
    pass


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB" if size < 10 * _MEGABYTE else f"{size / _MEGABYTE:.0f} MB"
