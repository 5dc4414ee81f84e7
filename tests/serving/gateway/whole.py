"""Real endpoints, with what speaks as mlx-lm behind each, served over HTTP from threads of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serving.agent.http import TokenGuard
from serving.endpoint.responses import ERRORS
from tests.serving.endpoint.clients import Service
from tests.serving.gateway.endpoints import TOKEN
from tests.serving.speaking import Script, speaking


class Serving(uvicorn.Server):
    """A server that a thread may run."""

    def install_signal_handlers(self) -> None:
        """None: signals are for the main thread."""


@contextmanager
def real_endpoint(**changes: Any) -> Iterator[tuple[int, Script]]:
    """Its port, and what it speaks to."""
    with speaking() as script:
        endpoint = Service(script.port, **changes).endpoint

        async def ready(_: Request) -> Response:
            return PlainTextResponse("ready\n")

        app = Starlette(
            routes=[Route("/ready", ready), *endpoint.routes()],
            middleware=[Middleware(TokenGuard, token=TOKEN)],
            exception_handlers=ERRORS,
        )
        server = Serving(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
        socket = server.config.bind_socket()
        thread = threading.Thread(target=server.run, args=([socket],))
        thread.start()
        try:
            yield socket.getsockname()[1], script
        finally:
            server.should_exit = True
            thread.join()
