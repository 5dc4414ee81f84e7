"""The resident process's side of Apple's commands: one connection of the client script is one call.

A request is `command NUL count NUL argv... NUL NAME=VALUE...` with the caller's standard input attached, and ends where
the client stops sending. The answer is a line `code length`, then `length` bytes for standard output and the rest for
standard error. What a command prints while it goes on comes before that, each time as a line `+length` and the bytes.
Who calls is told by the kernel. A command that raises leaves its traceback in the Mac's log, no answer.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tests.standin.mac import Call, Command, Mac, Reply
from tests.standin.reply_cache import ReplyCache

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class CommandServer:
    """Answers calls until it is closed; a Mac's commands run one after another, where they wait nobody else does."""

    def __init__(self, mac: Mac, commands: Mapping[str, Command], path: Path, cache: ReplyCache | None = None) -> None:
        self._mac = mac
        self._cache = cache
        self._commands = commands
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._calls: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Accept calls for ever."""
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            call = asyncio.create_task(self._answer(connection))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def close(self) -> None:
        """Refuse further calls."""
        self._listener.close()

    async def _answer(self, connection: socket.socket) -> None:
        with connection:
            request, standard_input = await _receive(connection)
            with os.fdopen(standard_input, "rb") as stdin:
                path, argv, environment = _parse(request)
                call = Call(argv, _caller(connection), stdin, environment, partial(_tell, connection))
                reply = self._commands[path](self._mac, call)
                if inspect.isawaitable(reply):
                    reply = await reply
            if self._cache is not None:
                self._cache.note(path, call, reply)
            await _send(connection, reply)


async def _receive(connection: socket.socket) -> tuple[bytes, int]:
    loop = asyncio.get_running_loop()
    await _readable(connection)
    first, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
    parts = [first]
    while part := await loop.sock_recv(connection, 1 << 16):
        parts.append(part)
    return b"".join(parts), descriptors[0]


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


def _parse(request: bytes) -> tuple[str, list[str], dict[str, str]]:
    path, count, *rest = os.fsdecode(request).split("\0")
    environment = dict(entry.split("=", 1) for entry in rest[int(count) :])
    return path, rest[: int(count)], environment


def _caller(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


async def _tell(connection: socket.socket, text: str) -> None:
    said = text.encode(errors="surrogateescape")
    await _pass_on(connection, b"+%d\n" % len(said) + said)


async def _send(connection: socket.socket, reply: Reply) -> None:
    output = reply.stdout.encode(errors="surrogateescape")
    errors = reply.stderr.encode(errors="surrogateescape")
    await _pass_on(connection, b"%d %d\n" % (reply.code, len(output)) + output + errors)


async def _pass_on(connection: socket.socket, data: bytes) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(connection, data)
    except (BrokenPipeError, ConnectionResetError):
        return  # the caller did not stay for the answer
