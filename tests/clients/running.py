"""A gateway for clients to be tried at: one agent with one real rank, and the gateway's own daemon, all on loopback."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from tempfile import mkdtemp

from serving.gateway import status
from serving.gateway.configuration import GatewayConfiguration, ServedReplica, litellm_configuration
from serving.gateway.keys import Key, digest, written
from serving.gateway.names import served_names
from tests.clients.door import Door
from tests.serving.alone import TOKEN, Ports, agent
from tests.serving.declarations import declared

KEY = "sk-of-the-clients"
CONTEXT_TOKENS = 4096
"""All that the test weights have."""
_READY_SECONDS = 600
"""LiteLLM without bytecode, on a machine with other things to do."""


class Silent(Exception):
    """The gateway did not begin to answer."""


@contextmanager
def gateway(directory: Path) -> Iterator[Door]:
    """A gateway that answers, and its replica, until the end. Raises Silent, serving.agent.status.NotReady."""
    endpoint, rank, door, relay = free_ports(4)
    size = {"context_tokens": CONTEXT_TOKENS, "slots": 4, "queue": 64, "wait_seconds": 300}
    with agent(directory / "agent", Ports(endpoint, rank), seconds=_READY_SECONDS, **size):
        replica = ServedReplica(
            name="a",
            weights="cider-1",
            url=f"http://127.0.0.1:{endpoint}",
            slots=size["slots"],
            context_tokens=CONTEXT_TOKENS,
            wait_seconds=size["wait_seconds"],
            body_bytes=1_000_000,
        )
        with daemon(directory / "gateway", replica, door, relay):
            yield Door(f"http://127.0.0.1:{door}", KEY, "cider-1")


@contextmanager
def daemon(directory: Path, replica: ServedReplica, door: int, relay: int) -> Iterator[Popen[bytes]]:
    """The gateway's process before one replica, answering until the end. Raises Silent."""
    directory.mkdir()
    cluster = declared(
        ports={"relay": relay},
        weights__0__name=replica.weights,
        replicas__0__weights=replica.weights,
        replicas__1__weights=replica.weights,
        replicas__0__context_tokens=replica.context_tokens,
        replicas__0__wait_seconds=replica.wait_seconds,
    )
    told = GatewayConfiguration(
        address="127.0.0.1",
        port=door,
        key_file=str(directory / "key"),
        keys_file=str(directory / "keys.json"),
        token_file=str(directory / "token"),
        fingerprints=("t",),
        litellm="litellm.yaml",
        relay_port=relay,
        # The path of a Unix socket is short.
        door_directory=mkdtemp(prefix="cider-"),
        replicas=(replica,),
        names=served_names(cluster, {"a"}),
    )
    litellm = json.dumps(litellm_configuration(cluster, {"a"}))
    files = {"key": KEY, "token": TOKEN, "gateway.json": told.model_dump_json(), "litellm.yaml": litellm}
    files["keys.json"] = written([Key(owner="lab", sha256=digest(KEY))])
    for name, content in files.items():
        (directory / name).write_text(content)
    command = [sys.executable, "-m", "serving.gateway.daemon", str(directory / "gateway.json")]
    with (directory / "out").open("wb") as out:
        # Without bytecode LiteLLM takes a minute to begin.
        process = Popen(command, stdout=out, stderr=out, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    try:
        if status.main([str(directory / "gateway.json"), "--wait", str(_READY_SECONDS)]) != 0:
            raise Silent(f"the gateway said: {(directory / 'out').read_text()[-3000:]}")
        yield process
    finally:
        process.terminate()
        process.wait(90)


def free_ports(number: int) -> list[int]:
    """So many TCP ports on loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
