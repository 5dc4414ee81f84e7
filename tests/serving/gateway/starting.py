"""The gateway's daemon as launchd starts it, before endpoints that say what a test wants."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen

import pytest

from serving.gateway import status
from serving.gateway.configuration import GatewayConfiguration, litellm_configuration
from serving.gateway.keys import Key, digest, written
from tests.serving.declarations import declared
from tests.serving.gateway.endpoints import TOKEN, Scripted, served

KEY = "sk-of-the-test"
OWN = Key(owner="lab", sha256=digest(KEY))
"""The lab's own key, without limits."""


def free_ports() -> tuple[int, int]:
    """One for the door and one for the relay."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def started(
    directory: Path, ports: tuple[int, int], *scripts: Scripted, keys: Sequence[Key] = (), name: str = "cider-1"
) -> Popen[bytes]:
    """The gateway's process, answering; the last endpoint may serve another name."""
    weights = ["cider-1" for _ in scripts[:-1]] + [name]
    told = GatewayConfiguration(
        address="127.0.0.1",
        port=ports[0],
        key_file=str(directory / "key"),
        keys_file=str(directory / "keys.json"),
        token_file=str(directory / "token"),
        fingerprints=("t",),
        litellm="litellm.yaml",
        relay_port=ports[1],
        replicas=tuple(
            served(script.name, script.port, weights=each) for script, each in zip(scripts, weights, strict=True)
        ),
    )
    cluster = declared(
        ports={"relay": ports[1]},
        weights=[
            {"name": each, "path": "/w", "golden": {"question": "Why?", "answer": "Because"}}
            for each in dict.fromkeys(weights)
        ],
        replicas__0__weights="cider-1",
        replicas__1__weights=name,
    )
    litellm = litellm_configuration(cluster, {"a", "b"})
    files = {"key": KEY, "token": TOKEN, "gateway.json": told.model_dump_json(), "litellm.yaml": json.dumps(litellm)}
    for each, content in {**files, "keys.json": written([OWN, *keys])}.items():
        (directory / each).write_text(content)
    command = [sys.executable, "-m", "serving.gateway.daemon", str(directory / "gateway.json")]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    with (directory / "out").open("wb") as out:
        process = Popen(command, stdout=out, stderr=out, env=environment)
    if status.main([str(directory / "gateway.json"), "--wait", "300"]) != 0:
        process.kill()
        process.wait()
        pytest.fail((directory / "out").read_text())
    return process
