"""`dev.cidermill.gateway`: the real LiteLLM proxy, behind an allow-list of paths.

    python -m serving.gateway.daemon CONFIG.json

LiteLLM takes secrets and most switches from the environment, and reads them while it is imported; so the environment is
completed here, from files, before that import. Nothing secret is in the plist. Checked with litellm 1.109.1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from serving import logs
from serving.gateway.configuration import PATHS, SWITCHES, GatewayConfiguration
from serving.layout import LOGS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def main(path: str) -> None:
    """Serve until SIGTERM; requests under way are finished first."""
    logs.begin(Path(LOGS), "gateway")
    configuration = GatewayConfiguration.model_validate_json(Path(path).read_text())
    os.environ.update(SWITCHES)
    os.environ["CONFIG_FILE_PATH"] = str(Path(path).parent / configuration.litellm)
    os.environ["CIDERMILL_MASTER_KEY"] = Path(configuration.key_file).read_text().strip()
    os.environ["CIDERMILL_CLUSTER_TOKEN"] = Path(configuration.token_file).read_text().strip()

    from litellm.proxy.proxy_server import app  # pyright: ignore[reportUnknownVariableType]  # untyped upstream

    logs.take_over("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
    uvicorn.run(
        only_allowed(app),  # pyright: ignore[reportUnknownArgumentType]  # untyped upstream
        host=configuration.address,
        port=configuration.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=60,
    )


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
