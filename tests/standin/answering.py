"""Whether a Mac answers SSH, seen from the Linux machine."""

from __future__ import annotations

import socket
import time

_TRY_SECONDS = 0.5
_BETWEEN_TRIES = 0.05


def answers(address: str) -> bool:
    """Whether an SSH server introduces itself there at once."""
    try:
        with socket.create_connection((address, 22), timeout=_TRY_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_until_answering(address: str, seconds: float) -> bool:
    """Whether it answers before the time is over; from out here the network is the only sign there is."""
    end = time.monotonic() + seconds
    while not answers(address):
        if time.monotonic() > end:
            return False
        time.sleep(_BETWEEN_TRIES)
    return True
