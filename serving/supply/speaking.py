"""What two Macs say to each other while one hands files on to the other.

The giver begins with a line of 32 random bytes in hex. The taker answers with a line of JSON: who it is, which file it
wants from where on, and a proof that it knows the cluster's token (HMAC-SHA256 of the random bytes and the request),
which itself never travels. Then the giver sends the file in frames: a length of four bytes and so many bytes. Length 0
says that the next bytes have not come here yet; AGAIN that what was sent was wrong and thrown away; FAILED is followed
by a line that says why nothing more comes. The taker asks for the next file on the same connection, with the same
proof of another request. DONE in place of a file says that it needs nothing more.

There is no TLS: what travels is no secret and is proven by SHA-256 at its end, and a cable between two of our Macs has
nobody else on it. The proof keeps others from asking on the management LAN.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
from typing import Any

AGAIN, FAILED, WAITING = 0xFFFFFFFF, 0xFFFFFFFE, 0
DONE = ""
HEADER = struct.Struct("!I")
LINE_BYTES = 4096
WAITING_SECONDS = 2.0
"""How often somebody who waits is told that he is not forgotten."""
SILENCE_SECONDS = 30.0
"""After this long without a word the other side is taken for dead."""


class Unheard(Exception):
    """The other side has gone, or does not speak as agreed."""


def proof(token: bytes, nonce: bytes, request: dict[str, Any]) -> str:
    """What only somebody with the token can say of a request."""
    said = nonce + json.dumps(request, sort_keys=True).encode()
    return hmac.new(token, said, hashlib.sha256).hexdigest()


def line(connection: socket.socket) -> bytes:
    """The next line. Raises Unheard when there is none; EOFError when the other side has ended in order."""
    said = bytearray()
    while not said.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte and not said:
            raise EOFError
        if not byte or len(said) >= LINE_BYTES:
            raise Unheard(f"a line was cut off after {len(said)} bytes")
        said += byte
    return bytes(said[:-1])


def frame(kind: int) -> bytes:
    """The header of a frame."""
    return HEADER.pack(kind)


def received(connection: socket.socket, into: memoryview) -> None:
    """Fill a buffer. Raises Unheard when the other side ends before."""
    while into:
        count = connection.recv_into(into)
        if not count:
            raise Unheard("it closed the connection")
        into = into[count:]
