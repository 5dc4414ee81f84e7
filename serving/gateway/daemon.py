"""`dev.cidermill.gateway`: the real LiteLLM proxy behind our door, and the relay beneath it.

    python -m serving.gateway.daemon CONFIG.json

LiteLLM takes secrets and most switches from the environment, and reads them while it is imported; so the environment is
completed here, from files, before that import. Nothing secret is in the plist. Checked with litellm 1.109.1.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import secrets
import socket
import sys
from pathlib import Path

from serving import logs
from serving.gateway import relay
from serving.gateway.aside import Aside
from serving.gateway.configuration import SWITCHES, GatewayConfiguration
from serving.gateway.door import Door
from serving.gateway.entrance import Entrance
from serving.gateway.garbage import collect
from serving.gateway.house import House
from serving.gateway.key_file import KeyFile
from serving.gateway.limits import Counts
from serving.gateway.relay import Beside
from serving.gateway.relay_external import Backends
from serving.gateway.relay_replicas import Replicas
from serving.gateway.relay_upstream import Endpoints
from serving.layout import LOGS


def main(path: str) -> None:
    """Serve until SIGTERM; requests under way are finished first."""
    logs.begin(Path(LOGS), "gateway")
    file = Path(path).resolve()
    configuration = GatewayConfiguration.model_validate_json(file.read_text())
    keys, counts = KeyFile(Path(configuration.keys_file)), Counts()
    beneath_it = _loopback(configuration.relay_port)
    os.environ.update(SWITCHES)
    os.environ["CONFIG_FILE_PATH"] = str(file.parent / configuration.litellm)
    # LiteLLM does not start without one; nobody knows it, and nothing here asks for it.
    os.environ["CIDERMILL_MASTER_KEY"] = secrets.token_urlsafe(32)
    os.environ["CIDERMILL_CLUSTER_TOKEN"] = token = Path(configuration.token_file).read_text().strip()
    os.environ["CIDERMILL_RELAY"] = f"http://127.0.0.1:{beneath_it.getsockname()[1]}/v1"

    from litellm.proxy.proxy_server import app  # pyright: ignore[reportUnknownVariableType]  # untyped upstream

    logs.take_over("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
    aside, entrance = Aside(), Entrance(keys.keys, counts)
    door = Door(app, entrance, configuration.names, configuration.body_bytes, aside)  # pyright: ignore[reportUnknownArgumentType]  # untyped upstream
    keys_file = configuration.external_keys_file
    external = Backends(configuration.external, json.loads(Path(keys_file).read_text()) if keys_file else None)
    replicas, endpoints = Replicas(configuration.replicas, token), Endpoints(token)
    beneath = relay.application(replicas, endpoints, token, Beside(aside, external, counts.used))
    house = House(door, beneath, beneath_it, configuration, file.parent.name)
    with asyncio.Runner(loop_factory=house.loop_factory) as runner:
        runner.run(house.serve(keys.watch(), collect()))


def _loopback(port: int) -> socket.socket:
    """A socket of our own on loopback: at this port, or at any while that is the other gateway's."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        made.bind(("127.0.0.1", 0))
        logging.info("Port %d is another gateway's; the relay takes %d", port, made.getsockname()[1])
    return made


if __name__ == "__main__":
    main(sys.argv[1])
