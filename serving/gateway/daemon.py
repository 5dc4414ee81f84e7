"""`dev.cidermill.gateway`: the real LiteLLM proxy behind our door, and the relay beneath it.

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
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from serving import logs
from serving.gateway import relay
from serving.gateway.aside import Aside
from serving.gateway.configuration import SWITCHES, GatewayConfiguration
from serving.gateway.door import Door
from serving.gateway.entrance import Entrance
from serving.gateway.key_file import KeyFile
from serving.gateway.limits import Counts
from serving.gateway.relay import Beside
from serving.gateway.relay_external import Backends
from serving.gateway.relay_replicas import Replicas
from serving.gateway.relay_upstream import Endpoints
from serving.layout import LOGS

_KEPT_SECONDS: Final = 600
"""How long LiteLLM's idle connections to the relay are kept: longer than it keeps them itself (15 seconds). One that
is closed in the moment it is used again is an error 500 for a client: LiteLLM does not ask again.
"""


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
    aside, entrance = Aside(), Entrance(keys.keys, counts)
    guarded = Door(app, entrance, configuration.names, configuration.body_bytes, aside)  # pyright: ignore[reportUnknownArgumentType]  # untyped upstream
    certificate = (configuration.certificate_file, configuration.certificate_key_file)
    door = _server(guarded, configuration.address, configuration.port, certificate)
    keys_file = configuration.external_keys_file
    external = Backends(configuration.external, json.loads(Path(keys_file).read_text()) if keys_file else None)
    replicas, endpoints = Replicas(configuration.replicas, token), Endpoints(token)
    beneath = relay.application(replicas, endpoints, token, Beside(aside, external, counts.used))
    behind = _server(beneath, "127.0.0.1", configuration.relay_port, kept_seconds=_KEPT_SECONDS)
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


def _server(
    app: ASGIApp,
    host: str,
    port: int,
    certificate: tuple[str | None, str | None] = (None, None),
    kept_seconds: int = 5,
) -> uvicorn.Config:
    """`certificate`: the files of the certificate and of its key, if TLS is to be spoken."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ssl_certfile=certificate[0],
        ssl_keyfile=certificate[1],
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=kept_seconds,
        timeout_graceful_shutdown=60,
    )


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it: uvicorn's own ends the process as soon as one has ended."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


if __name__ == "__main__":
    main(sys.argv[1])
