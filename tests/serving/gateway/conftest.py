"""One gateway for all tests that ask it, a real endpoint behind one name and one that says anything behind another; and
endpoints that say anything, for a relay of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.plain import PLAIN
from tests.serving.gateway.endpoints import Scripted, endpoint, served
from tests.serving.gateway.running import KEY, Running, running
from tests.serving.gateway.whole import real_endpoint
from tests.serving.speaking import Script

ALIASES = ("gpt-4o", "claude-sonnet-4-5", "org/cider:1")
SECOND = {"name": "cider-2", "path": "/weights/2", "golden": {"question": "Who?", "answer": "Me"}}


@dataclass
class Asked:
    """The gateway, what weights behind "cider-1" say, and the endpoint behind "cider-2"."""

    gateway: Running
    weights: Script
    scripted: Scripted

    def post(self, path: str, body: object, key: str | None = KEY, **headers: str) -> httpx.Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        told |= {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.post(f"{self.gateway.url}{path}", json=body, headers=told, timeout=120, **PLAIN)

    def get(self, path: str, key: str | None = KEY, **headers: str) -> httpx.Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        told |= {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.get(f"{self.gateway.url}{path}", headers=told, timeout=120, **PLAIN)


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    changes = {
        "weights__0__also_called": list(ALIASES),
        "weights__0__price": {"prompt_per_million": 0.5, "answer_per_million": 2},
        "weights__1": SECOND,
        "replicas__0__context_tokens": 2048,
        "replicas__1__context_tokens": 2048,
        "replicas__1__weights": "cider-2",
        "gateway__body_mb": 1,
    }
    with real_endpoint() as (port, weights), endpoint("b") as scripted:
        replicas = [served("a", port), served("b", scripted.port, weights="cider-2", wait_seconds=4)]
        with running(tmp_path_factory.mktemp("gateway"), replicas, **changes) as gateway:
            yield Asked(gateway, weights, scripted)


@pytest.fixture
def door(standing: Asked) -> Asked:
    """The same, with nothing said or asked yet."""
    standing.scripted.afresh()
    standing.weights.asked.clear()
    standing.weights.earlier.clear()
    return standing


@pytest.fixture
def a() -> Iterator[Scripted]:
    with endpoint("a") as script:
        yield script


@pytest.fixture
def b() -> Iterator[Scripted]:
    with endpoint("b") as script:
        yield script
