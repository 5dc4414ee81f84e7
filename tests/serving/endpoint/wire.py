"""Raw sockets to an agent, for requests that HTTP libraries are too polite to send."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when nothing did."""

    status: int
    head: str
    body: str


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A connection."""
    with socket.create_connection(address, SECONDS) as connection:
        yield connection


def sent(address: tuple[str, int], wire: bytes) -> Answer:
    """What a server says to these bytes until it closes; who is refused may not be let finish."""
    with connected(address) as connection:
        sending = threading.Thread(target=_send, args=(connection, wire))
        sending.start()
        answer = understood(everything(connection))
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        sending.join(SECONDS)
    return answer


def _send(connection: socket.socket, wire: bytes) -> None:
    with contextlib.suppress(ConnectionError, OSError):
        connection.sendall(wire)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or nothing more comes."""
    content = bytearray()
    with contextlib.suppress(ConnectionError, TimeoutError):
        while part := connection.recv(65_536):
            content += part
    return bytes(content)


def understood(content: bytes) -> Answer:
    """The response these bytes begin with; informational ones come before it."""
    head, _, body = content.decode(errors="replace").partition("\r\n\r\n")
    while head.startswith("HTTP/1.1 1"):
        head, _, body = body.partition("\r\n\r\n")
    words = head.split(maxsplit=2)
    return Answer(int(words[1]) if len(words) > 1 else 0, head, body)
