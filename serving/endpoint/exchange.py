"""One answer on its way to one client: a stream, or one piece, and what to do when the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STALLED_SECONDS: Final = 60.0
"""Until a client that takes nothing any more counts as gone."""

_STREAM: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class ClientLeft(Exception):
    """The client is gone, or as good as gone."""


class Exchange:
    """The way back to a client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, stalled_seconds: float = STALLED_SECONDS) -> None:
        self._scope = scope
        self._receive = receive
        self._give = send
        self._stalled_seconds = stalled_seconds
        self.begun = False
        """Whether a stream is under way: it is too late for a status then."""
        self._over = False
        self._sending_since: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing was sent yet."""
        return not self.begun and not self._over

    async def part(self, content: bytes) -> None:
        """Send a part of a stream, beginning it first if need be."""
        if not self.begun:
            self.begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})
        await self._send({"type": "http.response.body", "body": content, "more_body": True})

    async def comment(self, line: str) -> None:
        """Send a comment, whatever else is being sent. Before the last part it comes before it, after it not at all."""
        if not self._over:
            await self.part(f"{line}\n\n".encode())

    async def end(self, content: bytes = b"") -> None:
        """Send the last part of a stream."""
        self._over = True
        await self._send({"type": "http.response.body", "body": content, "more_body": False})

    async def whole(self, response: Response) -> None:
        """Send a response in one piece."""
        self._over = True
        await response(self._scope, self._receive, self._send)

    async def give_up(self, event: bytes, response: Response) -> None:
        """Send why there is no answer: the last part of a stream that has begun, or a response."""
        await (self.end(event) if self.begun else self.whole(response))

    async def until_left(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work that answers. Raises ClientLeft when the client goes first; the work is then given up.

        The request's body must have been read: what comes after it is only that the client goes.
        """
        working, leaving = asyncio.create_task(work), asyncio.create_task(_left(self._receive))
        try:
            while not await self._any_is_done(working, leaving):
                if self._is_stalled():
                    raise ClientLeft
            # After a whole answer the server says that the client is gone, whether it is or not.
            if not working.done() and not self._over:
                raise ClientLeft
            await working
        finally:
            working.cancel()
            leaving.cancel()
            # Its slot is free when this is over.
            await asyncio.wait({working, leaving})

    async def _any_is_done(self, *tasks: asyncio.Task[None]) -> bool:
        # Looked at from here, as a timeout for each part would cost as much as the part.
        done, _ = await asyncio.wait(tasks, timeout=self._stalled_seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    def _is_stalled(self) -> bool:
        since = self._sending_since
        return since is not None and asyncio.get_running_loop().time() - since >= self._stalled_seconds / 2

    async def _send(self, message: Message) -> None:
        self._sending_since = asyncio.get_running_loop().time()
        await self._give(message)
        self._sending_since = None


class Door:
    """An ASGI application for a route; Starlette takes functions for something else."""

    def __init__(self, serve: ASGIApp) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        await self._serve(scope, receive, send)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
