"""A gateway's servers as a process of their own, with something small in LiteLLM's place: `CONFIG.json RELEASE [mute]`.

GET /v1/models answers who has the key, unless it is mute; GET /who tells the release; GET /slow tells it ten times a
second, twenty times over.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.gateway.configuration import GatewayConfiguration
from serving.gateway.house import House

PIECES = 20


def application(release: str, key: str, *, mute: bool) -> Starlette:
    """What answers."""

    async def models(request: Request) -> Response:
        knows = request.headers.get("authorization") == f"Bearer {key}"
        return PlainTextResponse("models", 503 if mute else 200 if knows else 401)

    async def who(_: Request) -> Response:
        return PlainTextResponse(release)

    async def pieces() -> AsyncGenerator[str]:
        for _ in range(PIECES):
            yield release
            await asyncio.sleep(0.1)

    async def slow(_: Request) -> Response:
        return StreamingResponse(pieces())

    return Starlette(routes=[Route("/v1/models", models), Route("/who", who), Route("/slow", slow)])


async def beside() -> None:
    """Nothing, for as long as it runs."""
    await asyncio.Event().wait()


def main(path: str, release: str, *words: str) -> None:
    """Serve until SIGTERM."""
    configuration = GatewayConfiguration.model_validate_json(Path(path).read_text())
    key = Path(configuration.key_file).read_text()
    relay = socket.socket()
    relay.bind(("127.0.0.1", 0))
    house = House(application(release, key, mute="mute" in words), Starlette(), relay, configuration, release)
    asyncio.run(house.serve(beside()))


if __name__ == "__main__":
    main(*sys.argv[1:])
