"""The gateway's own process, before endpoints of a test's."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import mkdtemp
from typing import Any

import pytest

from serving.gateway import status
from serving.gateway.configuration import ExternalBackend, GatewayConfiguration, ServedReplica, litellm_configuration
from serving.gateway.keys import Key, digest, written
from serving.gateway.names import served_names
from tests.serving.certificates import Pair
from tests.serving.declarations import declared
from tests.serving.gateway.endpoints import TOKEN

KEY = "sk-of-the-test"
OWN = Key(owner="lab", sha256=digest(KEY))
"""The lab's own key, without limits."""


@dataclass
class Running:
    """A gateway, answering."""

    port: int
    relay_port: int
    directory: Path
    process: Popen[bytes]
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def written(self) -> str:
        """All it has written to its output, and to logs beside it."""
        return "".join(path.read_text() for path in self.directory.glob("out*"))


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens at."""
    with ExitStack() as open_until_then:
        taken = [open_until_then.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


def started(
    directory: Path,
    replicas: Sequence[ServedReplica],
    certificate: Pair | None = None,
    *,
    keys: Sequence[Key] = (),
    external: Mapping[ExternalBackend, str] | None = None,
    **changes: Any,
) -> Running:
    """The gateway's process, answering; `changes` are those of a declaration of two replicas, a and b.

    `keys` are handed out beside the lab's own; `external` backends have each the key that it asks for.
    """
    theirs = external or {}
    port, relay_port = free_ports(2)
    names = {"weights__0__name": "cider-1", "replicas__0__weights": "cider-1", "replicas__1__weights": "cider-1"}
    cluster = declared(ports={"relay": relay_port}, **{**names, **changes})
    served = served_names(cluster, {"a", "b"})
    told = GatewayConfiguration(
        address="127.0.0.1",
        port=port,
        key_file=str(directory / "key"),
        keys_file=str(directory / "keys.json"),
        token_file=str(directory / "token"),
        fingerprints=("t",),
        litellm="litellm.yaml",
        relay_port=relay_port,
        # The path of a Unix socket is short.
        door_directory=mkdtemp(prefix="cider-"),
        replicas=tuple(replicas),
        external=tuple(theirs),
        external_keys_file=str(directory / "external.json"),
        names=served,
        body_bytes=cluster.gateway.body_mb * 2**20,
        certificate_file=None if certificate is None else str(directory / "certificate.pem"),
        certificate_key_file=None if certificate is None else str(directory / "certificate.key"),
    )
    litellm = litellm_configuration(cluster, {"a", "b"})
    files = {"key": KEY, "token": TOKEN, "gateway.json": told.model_dump_json(), "litellm.yaml": json.dumps(litellm)}
    files |= {"keys.json": written([OWN, *keys]), "external.json": json.dumps({e.name: k for e, k in theirs.items()})}
    if certificate is not None:
        files |= {"certificate.pem": certificate[0].decode(), "certificate.key": certificate[1].decode()}
    for name, content in files.items():
        (directory / name).write_text(content)
    command = [sys.executable, "-m", "serving.gateway.daemon", str(directory / "gateway.json")]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    with (directory / "out").open("wb") as out:
        process = Popen(command, stdout=out, stderr=out, env=environment)
    if status.main([str(directory / "gateway.json"), "--wait", "300"]) != 0:
        process.kill()
        process.wait()
        pytest.fail((directory / "out").read_text())
    return Running(port, relay_port, directory, process, "http" if certificate is None else "https")


@contextmanager
def running(
    directory: Path, replicas: Sequence[ServedReplica], certificate: Pair | None = None, **more: Any
) -> Iterator[Running]:
    """The same, ended in the end."""
    gateway = started(directory, replicas, certificate, **more)
    try:
        yield gateway
    finally:
        gateway.process.terminate()
        assert gateway.process.wait(60) == 0
