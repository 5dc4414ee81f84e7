"""A gateway's servers as a process of their own, with something small in LiteLLM's place.

`CONFIG.json RELEASE [mute] [brief]`: GET /v1/models answers who has the key, unless it is mute; GET /who tells the
release; GET /slow/SECONDS tells it ten times a second. A brief one keeps idle connections for a second.
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

from serving.connections import KEEP_ALIVE_SECONDS
from serving.gateway.configuration import GatewayConfiguration
from serving.gateway.house import House

PIECES_A_SECOND = 10


def application(release: str, key: str, *, mute: bool) -> Starlette:
    """What answers."""

    async def models(request: Request) -> Response:
        knows = request.headers.get("authorization") == f"Bearer {key}"
        return PlainTextResponse("models", 503 if mute else 200 if knows else 401)

    async def who(_: Request) -> Response:
        return PlainTextResponse(release)

    async def pieces(seconds: int) -> AsyncGenerator[str]:
        for _ in range(seconds * PIECES_A_SECOND):
            yield release
            await asyncio.sleep(1 / PIECES_A_SECOND)

    async def slow(request: Request) -> Response:
        return StreamingResponse(pieces(request.path_params["seconds"]))

    return Starlette(routes=[Route("/v1/models", models), Route("/who", who), Route("/slow/{seconds:int}", slow)])


async def beside() -> None:
    """Nothing, for as long as it runs."""
    await asyncio.Event().wait()


def main(path: str, release: str, *words: str) -> None:
    """Serve until SIGTERM."""
    configuration = GatewayConfiguration.model_validate_json(Path(path).read_text())
    key = Path(configuration.key_file).read_text()
    relay = socket.socket()
    relay.bind(("127.0.0.1", 0))
    kept_seconds = 1 if "brief" in words else KEEP_ALIVE_SECONDS
    door = application(release, key, mute="mute" in words)
    house = House(door, Starlette(), relay, configuration, release, kept_seconds)
    asyncio.run(house.serve(beside()))


if __name__ == "__main__":
    main(*sys.argv[1:])
