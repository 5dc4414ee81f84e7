"""`dev.cidermill.gateway`: the real LiteLLM proxy behind an allow-list of paths, and the relay beneath it.

    python -m serving.gateway.daemon CONFIG.json

LiteLLM takes secrets and most switches from the environment, and reads them while it is imported; so the environment is
completed here, from files, before that import. Nothing secret is in the plist. Checked with litellm 1.109.1.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from serving import logs
from serving.gateway import relay
from serving.gateway.configuration import PATHS, SWITCHES, GatewayConfiguration
from serving.gateway.entrance import Entrance
from serving.gateway.guard import Application, Guard, Receive, Scope, Send
from serving.gateway.key_file import KeyFile
from serving.gateway.limits import Counts
from serving.gateway.relay_external import Backends
from serving.gateway.relay_replicas import Replicas
from serving.gateway.relay_upstream import Endpoints
from serving.layout import LOGS


def main(path: str) -> None:
    """Serve until SIGTERM; requests under way are finished first."""
    logs.begin(Path(LOGS), "gateway")
    configuration = GatewayConfiguration.model_validate_json(Path(path).read_text())
    keys, counts = KeyFile(Path(configuration.keys_file)), Counts()
    os.environ.update(SWITCHES)
    os.environ["CONFIG_FILE_PATH"] = str(Path(path).parent / configuration.litellm)
    # LiteLLM does not start without one; nobody knows it, and nothing here asks for it.
    os.environ["CIDERMILL_MASTER_KEY"] = secrets.token_urlsafe(32)
    os.environ["CIDERMILL_CLUSTER_TOKEN"] = token = Path(configuration.token_file).read_text().strip()

    from litellm.proxy.proxy_server import app  # pyright: ignore[reportUnknownVariableType]  # untyped upstream

    logs.take_over("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
    guarded = Guard(app, Entrance(keys, counts))  # pyright: ignore[reportUnknownArgumentType]  # untyped upstream
    door = _server(only_allowed(guarded), configuration.address, configuration.port)
    keys_file = configuration.external_keys_file
    external = Backends(configuration.external, json.loads(Path(keys_file).read_text()) if keys_file else None)
    replicas, endpoints = Replicas(configuration.replicas, token), Endpoints(token)
    beneath = relay.application(replicas, endpoints, token, external, counts.used)
    behind = _server(beneath, "127.0.0.1", configuration.relay_port)
    with asyncio.Runner(loop_factory=door.get_loop_factory()) as runner:
        runner.run(serve(door, behind, keys.watch()))


async def serve(door: uvicorn.Config, behind: uvicorn.Config, beside: Coroutine[Any, Any, None]) -> None:
    """Serve both until SIGTERM, and run `beside`. The one behind goes last: what the door has let in needs it."""
    front, back = _Server(door), _Server(behind)
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, front.handle_exit, each, None)
    working, watching = asyncio.create_task(back.serve()), asyncio.create_task(beside)
    try:
        await front.serve()
    finally:
        watching.cancel()
        back.should_exit = True
        await working


def _server(app: Application, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=60,
    )


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it: uvicorn's own ends the process as soon as one has ended."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def only_allowed(app: Application) -> Application:
    """The application with every path but the allowed ones answered by 404, before LiteLLM sees it."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in PATHS):
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await _not_found(send, scope["path"])
        else:
            await send({"type": "websocket.close", "code": 1008})

    return guarded


async def _not_found(send: Send, path: str) -> None:
    message = f"There is no {path} here. Served: {', '.join(sorted(PATHS))}."
    body = json.dumps({"error": {"message": message, "type": "not_found_error", "param": None, "code": "404"}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main(sys.argv[1])
