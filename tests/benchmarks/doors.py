"""What stands before an endpoint: nothing, LiteLLM's own proxy as it comes, or the gateway."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen, run
from time import monotonic, sleep

import httpx

from serving.gateway.configuration import ServedReplica
from tests.clients.running import KEY, daemon, free_ports
from tests.serving.alone import TOKEN

_SECONDS = 600
_BARE = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "DISABLE_ADMIN_UI": "True",
}
"""Without the first it looks for prices on the internet; the others are less work."""


@dataclass(frozen=True)
class Standing:
    """A door with its process, and what it took to begin."""

    name: str
    url: str
    key: str
    pid: int
    seconds: float
    """From the start of the process to its first answer."""

    def megabytes(self) -> float:
        """What the process holds in memory now."""
        told = run(["ps", "-o", "rss=", "-p", str(self.pid)], stdout=PIPE, text=True, check=True)
        return int(told.stdout) / 1024


@contextmanager
def endpoint(pace: float) -> Iterator[Standing]:
    """The paced endpoint itself."""
    (port,) = free_ports(1)
    process = Popen([sys.executable, "-m", "tests.benchmarks.paced", str(port), str(pace)])
    with _ended(process):
        yield _standing("endpoint", port, TOKEN, process, "/ready")


@contextmanager
def bare(directory: Path, behind: Standing) -> Iterator[Standing]:
    """LiteLLM's own proxy, one worker, with nothing of ours: one model, one key, no retries, no hooks."""
    directory.mkdir()
    (port,) = free_ports(1)
    to = {"model": "hosted_vllm/cider-1", "api_base": f"{behind.url}/v1", "api_key": behind.key, "max_retries": 0}
    told = {
        "model_list": [{"model_name": "cider-1", "litellm_params": to}],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"master_key": KEY},
    }
    (directory / "litellm.yaml").write_text(json.dumps(told))
    program = "from litellm.proxy.proxy_cli import run_server; run_server()"
    flags = ["--config", str(directory / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    with (directory / "out").open("wb") as out:
        environment = {**os.environ, **_BARE, "PYTHONDONTWRITEBYTECODE": ""}
        process = Popen([sys.executable, "-c", program, *flags], stdout=out, stderr=out, env=environment)
    with _ended(process):
        yield _standing("bare LiteLLM", port, KEY, process, "/v1/models")


@contextmanager
def gateway(directory: Path, behind: Standing) -> Iterator[Standing]:
    """The gateway as it is deployed."""
    port, relay = free_ports(2)
    replica = ServedReplica(
        name="a",
        weights="cider-1",
        url=behind.url,
        slots=64,
        context_tokens=4096,
        wait_seconds=300,
        body_bytes=1_000_000,
    )
    began = monotonic()
    with daemon(directory, replica, port, relay) as process:
        yield Standing("gateway", f"http://127.0.0.1:{port}", KEY, process.pid, monotonic() - began)


def _standing(name: str, port: int, key: str, process: Popen[bytes], path: str) -> Standing:
    began, url = monotonic(), f"http://127.0.0.1:{port}"
    while process.poll() is None and monotonic() < began + _SECONDS:
        try:
            if httpx.get(url + path, headers={"Authorization": f"Bearer {key}"}, trust_env=False).is_success:
                return Standing(name, url, key, process.pid, monotonic() - began)
        except httpx.HTTPError:
            pass
        sleep(0.1)  # another process's readiness, with nothing to wait on
    raise RuntimeError(f"{name} did not begin to answer within {_SECONDS} seconds")


@contextmanager
def _ended(process: Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(90)
