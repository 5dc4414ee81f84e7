"""Getting files from a neighbour, which may still be getting them itself."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from serving.errors import SupplyRefused
from serving.supply.order import Source
from serving.supply.shelf import PIECE_BYTES, Incoming, Shelf, WrongAgain
from serving.supply.speaking import (
    AGAIN,
    DONE,
    FAILED,
    HEADER,
    SILENCE_SECONDS,
    WAITING,
    Unheard,
    line,
    proof,
    received,
)

_EACH_WAY_SECONDS = 5.0
_PAUSE_SECONDS = 0.5


class _TheirFailure(Exception):
    """The neighbour says why nothing more comes."""


class Taker:
    """Takes files from one neighbour over one connection, one after another."""

    def __init__(
        self,
        shelf: Shelf,
        source: Source,
        *,
        machine: str,
        port: int,
        token: bytes,
        say: Callable[[str], None],
        patience_seconds: float,
    ) -> None:
        self._shelf, self._source, self._machine = shelf, source, machine
        self._port, self._token, self._say, self._patience = port, token, say, patience_seconds
        self._connection: socket.socket | None = None
        self._nonce = b""
        self._way = ""

    def take(self, path: str) -> None:
        """One file, proven and in its place. Raises SupplyRefused, and OSError when this Mac's disk is full."""
        giver = self._source.machine
        try:
            self._shelf.bring(
                path,
                lambda incoming: self._whole(path, incoming),
                lambda seen: self._say(f"{path} from {giver} came out wrong (SHA-256 {seen}); it is taken once more"),
            )
        except WrongAgain as wrong:
            raise SupplyRefused(
                f"cannot use {path} on {self._machine}: what {giver} handed on has SHA-256 {wrong}, needed "
                f"{self._shelf.files[path].needed.sha256}, twice. Look at the disk and the memory of both."
            ) from wrong

    def done(self) -> None:
        """Tell the neighbour that nothing more is needed."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._ask(DONE, 0)
            except (OSError, EOFError, Unheard) as error:
                self.close()
                if time.monotonic() > deadline:
                    self._say(f"{self._source.machine} could not be told that all has come: {error}")
                    return
                time.sleep(_PAUSE_SECONDS)
            else:
                self.close()
                return

    def _whole(self, path: str, incoming: Incoming) -> None:
        """Until all bytes of a file are here; a connection that breaks is made anew."""
        last, at = time.monotonic(), incoming.come
        while incoming.come < incoming.needed.size:
            try:
                self._ask(path, incoming.come)
                self._read(incoming)
            except _TheirFailure as failure:
                raise SupplyRefused(
                    f"cannot get {path} on {self._machine}: {self._source.machine} does not hand it on: {failure}"
                ) from failure
            except (OSError, EOFError, Unheard) as error:
                self.close()
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                now = time.monotonic()
                if incoming.come > at:
                    last, at = now, incoming.come
                elif now - last > self._patience:
                    raise SupplyRefused(
                        f"cannot get {path} on {self._machine}: {self._source.machine} has not answered at "
                        f"{', '.join(self._source.addresses)} for {self._patience:.0f} s ({error}). See what the "
                        f"deploy says of {self._source.machine}, then run it again: what has come is kept."
                    ) from error
                time.sleep(_PAUSE_SECONDS)

    def _ask(self, path: str, begin: int) -> None:
        if self._connection is None:
            self._connection, self._nonce = self._connected()
        request: dict[str, Any] = {"machine": self._machine, "file": path, "from": begin}
        told = {**request, "proof": proof(self._token, self._nonce, request)}
        self._connection.sendall(json.dumps(told).encode() + b"\n")

    def _read(self, incoming: Incoming) -> None:
        assert self._connection is not None, "asked before"  # noqa: S101 - our own order of calls
        header, buffer = bytearray(HEADER.size), memoryview(bytearray(PIECE_BYTES))
        while incoming.come < incoming.needed.size:
            received(self._connection, memoryview(header))
            (kind,) = HEADER.unpack(header)
            if kind == AGAIN:
                incoming.start_over()
            elif kind == FAILED:
                raise _TheirFailure(line(self._connection).decode(errors="replace"))
            elif kind > PIECE_BYTES or incoming.come + kind > incoming.needed.size:
                raise Unheard(f"it sent a frame of {kind} bytes, which nobody asked for")
            elif kind != WAITING:
                received(self._connection, buffer[:kind])
                incoming.write(buffer[:kind])

    def _connected(self) -> tuple[socket.socket, bytes]:
        refused: list[str] = []
        for address in self._source.addresses:
            try:
                connection = socket.create_connection((address, self._port), timeout=_EACH_WAY_SECONDS)
            except OSError as error:
                refused.append(f"{address}: {error.strerror or error}")
                continue
            try:
                connection.settimeout(SILENCE_SECONDS)
                nonce = bytes.fromhex(line(connection).decode())
            except BaseException:
                connection.close()
                raise
            if address != self._way:
                self._way = address
                self._say(_way(self._source.machine, address, self._source.addresses, refused))
            return connection, nonce
        raise Unheard("; ".join(refused))

    def close(self) -> None:
        """End the connection; the next question makes another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _way(machine: str, address: str, addresses: Sequence[str], refused: Sequence[str]) -> str:
    if address == addresses[0]:
        return f"takes from {machine} at {address}"
    return f"takes from {machine} at {address}, not over the faster way ({'; '.join(refused)})"
