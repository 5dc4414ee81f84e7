"""The servers of one gateway: its relay, a private door, and the door that clients use; their beginning and their end.

It takes clients only once it has answered itself, through all of it, on the private door. Told to end it listens no
longer, finishes what it has within the declared time, and tells every client to come by another connection. Who was
told something else before, as at the head of a stream that still runs, may ask once more on the connection it has:
that is closed when it was told, or has idled, so that no request is on its way to nobody. Checked with uvicorn 0.38.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.connections import KEEP_ALIVE_SECONDS
from serving.gateway.configuration import GatewayConfiguration
from serving.gateway.handover import Giver, listening, private_path

OPEN: Final = "/open"
"""On the private door: whether the one for clients is open."""
_CUTTING_SECONDS: Final = 1
"""For tasks to end whose clients were cut off."""
_KEPT_BENEATH_SECONDS: Final = 600
"""How long LiteLLM's idle connections to the relay are kept: longer than it keeps them itself (15 seconds). One that is
closed in the moment it is used again is an error 500 for a client: LiteLLM 1.109.1 does not ask again.
"""
_ANSWER_SECONDS: Final = 15.0
_AGAIN_SECONDS: Final = 0.5


class House:
    """`door` is LiteLLM with our door before it, and brings LiteLLM's own beginning and end with it."""

    def __init__(
        self,
        door: ASGIApp,
        beneath: ASGIApp,
        beneath_it: socket.socket,
        configuration: GatewayConfiguration,
        release: str,
        kept_seconds: int = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._configuration = configuration
        self._directory = Path(configuration.door_directory)
        self._private = private_path(self._directory, release)
        self._key = Path(configuration.key_file).read_text().strip()
        self._beneath_it = beneath_it
        drain_seconds = configuration.drain_seconds
        self._back = _Server(_config(beneath, _KEPT_BENEATH_SECONDS, drain_seconds))
        self._within = _Server(_config(self._privately, kept_seconds, drain_seconds, uds=str(self._private)))
        self._door = door
        self._front = _Front(door, configuration, kept_seconds)
        self._told_to_end = asyncio.Event()

    @property
    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """What uvicorn would run its loop by."""
        return self._back.config.get_loop_factory()

    async def serve(self, *beside: Coroutine[Any, Any, None]) -> None:
        """Serve until SIGTERM, and run `beside`. The relay goes last: what the doors have let in needs it."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._told_to_end.set)
        with suppress(FileNotFoundError):
            self._private.unlink()
        back = asyncio.create_task(self._back.serve(sockets=[self._beneath_it]))
        within = asyncio.create_task(self._within.serve())
        watching = [asyncio.create_task(each) for each in beside]
        ending = asyncio.create_task(self._told_to_end.wait())
        serving = asyncio.create_task(self._let_in())
        try:
            await asyncio.wait({back, within, serving, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in watching:
                each.cancel()
            await self._front.end(serving)
            for server, task in ((self._within, within), (self._back, back)):
                server.should_exit = True
                await task
            with suppress(FileNotFoundError):
                self._private.unlink()
            ending.cancel()
        # One that ended by itself did so by an exception.
        if serving.done() and not serving.cancelled():
            serving.result()

    async def _privately(self, scope: Scope, receive: Receive, send: Send) -> None:
        """All that clients are told, and whether they are let in yet."""
        if scope["type"] == "http" and scope["path"] == OPEN:
            await PlainTextResponse("", 204 if self._front.started else 503)(scope, receive, send)
        else:
            await self._door(scope, receive, send)

    async def _let_in(self) -> None:
        """Open the door to clients, once everything behind it works."""
        await self._proven()
        listener = await listening(self._configuration.address, self._configuration.port, self._directory)
        giver = Giver(listener, self._directory)
        try:
            await self._front.serve(listener)
        finally:
            giver.close()

    async def _proven(self) -> None:
        """Ask itself until there is an answer; meanwhile clients are somebody else's, or wait."""
        transport = httpx.AsyncHTTPTransport(uds=str(self._private))
        headers, said = {"Authorization": f"Bearer {self._key}"}, ""
        async with httpx.AsyncClient(transport=transport, headers=headers, timeout=_ANSWER_SECONDS) as itself:
            while True:
                problem = await _problem(itself)
                if not problem:
                    return
                if problem != said:
                    logging.info("This gateway does not answer yet: %s", problem)
                    said = problem
                await asyncio.sleep(_AGAIN_SECONDS)


async def _problem(itself: httpx.AsyncClient) -> str:
    try:
        answer = await itself.get("http://gateway/v1/models")
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.is_success else f"it answers {answer.status_code}"


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it: uvicorn's own ends the process as soon as one has ended."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


class _Front(_Server):
    """The door that clients use."""

    def __init__(self, app: ASGIApp, configuration: GatewayConfiguration, kept_seconds: int) -> None:
        self._leaving = False
        self._app = app
        self._ending_seconds = max(configuration.drain_seconds, kept_seconds + 1)
        super().__init__(
            _config(
                self._answer,
                kept_seconds,
                _CUTTING_SECONDS,
                lifespan="off",
                ssl_certfile=configuration.certificate_file,
                ssl_keyfile=configuration.certificate_key_file,
            )
        )

    async def serve(self, listener: socket.socket) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take clients from a socket that listens, until `end`."""
        await super().serve(sockets=[listener])

    async def end(self, serving: asyncio.Task[None]) -> None:
        """Let clients go, if any were let in, and wait for it."""
        if not self.started:
            serving.cancel()
        self.should_exit = True
        await asyncio.wait({serving})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own end closes idle connections at once, and others after an answer that did not say so.

        A request may be on its way on either.
        """
        self._leaving = True
        for server in self.servers:
            server.close()
        clock = asyncio.get_running_loop().time
        until = clock() + self._ending_seconds
        while self.server_state.connections and clock() < until:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.1)
        await super().shutdown(sockets)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if self._leaving and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, sent)


def _config(app: ASGIApp, kept_seconds: int, ending_seconds: int, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=kept_seconds,
        timeout_graceful_shutdown=ending_seconds,
        **more,
    )
