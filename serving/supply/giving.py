"""Handing files on to neighbours, also while they still come."""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from threading import Condition, Thread
from typing import Any

from serving.supply.shelf import PIECE_BYTES, Incoming, Shelf
from serving.supply.speaking import (
    AGAIN,
    DONE,
    FAILED,
    SILENCE_SECONDS,
    WAITING,
    WAITING_SECONDS,
    Unheard,
    frame,
    line,
    proof,
)


class Giver:
    """Serves the files of a shelf to these neighbours, at these addresses, until each has said that it has all."""

    def __init__(
        self,
        shelf: Shelf,
        takers: Collection[str],
        *,
        token: bytes,
        say: Callable[[str], None],
    ) -> None:
        self._shelf, self._token, self._say = shelf, token, say
        self._left = set(takers)
        self._changed = Condition()
        self._listening: list[socket.socket] = []
        self._busy = 0

    def listen(self, addresses: Collection[str], port: int) -> list[str]:
        """Listen at those of the addresses that are there; returns these. Raises OSError when a port is taken."""
        for address in addresses:
            listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((address, port))
            except OSError as error:
                listening.close()
                if error.errno != _NOT_HERE:
                    raise
                self._say(f"{address} is not an address of this Mac now; neighbours take another way")
                continue
            listening.listen()
            self._listening.append(listening)
            Thread(target=self._accept, args=(listening,), daemon=True).start()
        return [str(each.getsockname()[0]) for each in self._listening]

    def wait(self, silence_seconds: float) -> set[str]:
        """Until all have what they need; returns those that have gone, and did not come back for so long."""
        with self._changed:
            while self._left:
                if not self._changed.wait(silence_seconds) and not self._busy:
                    break
            return set(self._left)

    def close(self, seconds: float) -> None:
        """Listen no more; neighbours that are being told something have so long to hear it."""
        for listening in self._listening:
            with suppress(OSError):  # macOS says that it is not connected
                listening.shutdown(socket.SHUT_RDWR)  # or whoever accepts would hold it open
            listening.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, seconds)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, (address, _) = listening.accept()
            except OSError:
                return  # closed
            Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: str) -> None:
        self._count(1)
        with connection:
            connection.settimeout(SILENCE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            nonce = secrets.token_bytes(32)
            try:
                connection.sendall(nonce.hex().encode() + b"\n")
                while request := self._asked(connection, nonce, address):
                    if request["file"] == DONE:
                        self._has_all(str(request["machine"]))
                        return
                    self._send(connection, self._shelf.files[request["file"]], int(request["from"]))
            except (OSError, EOFError, Unheard, ValueError, KeyError):
                pass  # it asks again, or its own end of the deploy says why not
            finally:
                self._count(-1)

    def _asked(self, connection: socket.socket, nonce: bytes, address: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(line(connection))
        given = str(told.pop("proof"))
        if not secrets.compare_digest(given, proof(self._token, nonce, told)):
            self._say(f"refused {address}: it does not know the cluster's token")
            connection.sendall(
                frame(FAILED) + b"it refuses this Mac, whose token is not the cluster's. Deploy again.\n"
            )
            return {}
        return told

    def _send(self, connection: socket.socket, incoming: Incoming, begin: int) -> None:
        """Raises OSError and ValueError when the other side or the file has gone."""
        attempt, at, file = incoming.attempt, begin, None
        try:
            while at < incoming.needed.size:
                with incoming.moved:
                    if incoming.readable() <= at and not incoming.failure and incoming.attempt == attempt:
                        incoming.moved.wait(WAITING_SECONDS)
                    ready, why, now = incoming.readable(), incoming.failure, incoming.attempt
                if now != attempt:
                    connection.sendall(frame(AGAIN))
                    attempt, at = now, 0
                elif ready > at:
                    file = file or incoming.opened()
                    at += _piece(connection, file.fileno(), at, min(ready - at, PIECE_BYTES))
                elif why:
                    connection.sendall(frame(FAILED) + why.replace("\n", " ").encode()[:2000] + b"\n")
                    return
                else:
                    connection.sendall(frame(WAITING))
        finally:
            if file is not None:
                file.close()

    def _has_all(self, machine: str) -> None:
        with self._changed:
            self._left.discard(machine)
            self._changed.notify_all()

    def _count(self, by: int) -> None:
        with self._changed:
            self._busy += by
            self._changed.notify_all()


def _piece(connection: socket.socket, file: int, at: int, size: int) -> int:
    """Send a piece; returns its size. Raises OSError, and ValueError when the file is shorter."""
    data = os.pread(file, size, at)
    if len(data) != size:
        raise ValueError(f"the file ends at {at + len(data)}")
    connection.sendall(frame(size))
    connection.sendall(data)
    return size


_NOT_HERE = errno.EADDRNOTAVAIL
