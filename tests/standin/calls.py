"""Calling a Mac's Apple commands from the Linux machine, as root and without SSH: for looking, not for the product."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.standin.mac import Reply

SECONDS = 30.0


def call(server: Path, argv: list[str]) -> Reply:
    """Run one command by its absolute path, with nothing on its standard input; TimeoutError if the Mac is frozen."""
    request = "\0".join([argv[0], str(len(argv)), *argv]).encode()
    with socket.socket(socket.AF_UNIX) as connection, open(os.devnull, "rb") as nothing:
        connection.settimeout(SECONDS)
        connection.connect(str(server))
        socket.send_fds(connection, [request], [nothing.fileno()])
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            head, told = stream.readline(), b""
            while head.startswith(b"+"):
                told += stream.read(int(head))
                head = stream.readline()
            code, length = map(int, head.split())
            output = (told + stream.read(length)).decode()
            return Reply(output, stream.read().decode(), code)
