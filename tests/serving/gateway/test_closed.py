"""Every route that LiteLLM has, asked at the running gateway: only what is on the list answers, and with a key only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from serving.gateway.apis import MODELS, ROUTES, route_of
from serving.gateway.configuration import SWITCHES
from tests.plain import PLAIN
from tests.serving.gateway.conftest import Asked
from tests.serving.gateway.running import KEY

READ = """
import json
from fastapi.routing import iter_route_contexts
from litellm.proxy._lazy_features import register_all_features
from litellm.proxy.proxy_server import app

register_all_features(app)  # many of them are there only once they are asked for
found = {(method, each.path) for each in iter_route_contexts(app.routes) for method in each.methods or ["GET"]}
others = {("GET", path) for each in app.routes if (path := getattr(each, "path", None))}
print(json.dumps(sorted(found | others)))
"""
HEALTH = {path for path, route in ROUTES.items() if route.is_open}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and path of all that LiteLLM serves, read off the application itself."""
    environment = {**os.environ, **SWITCHES, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", READ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        cwd=tmp_path_factory.mktemp("r"),
        check=True,
    )
    return [(method, path) for method, path in json.loads(done.stdout.splitlines()[-1])]


def filled(path: str) -> str:
    """A path with something for each of its parameters."""
    parts = ("x" if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts) or "/"


def statuses(url: str, routes: list[tuple[str, str]], headers: dict[str, str]) -> Iterator[tuple[str, str, int]]:
    with httpx.Client(base_url=url, headers=headers, timeout=120, **PLAIN) as client:
        for method, path in routes:
            body = {"json": {"model": "cider-1"}} if method in ("POST", "PUT", "PATCH") else {}
            yield method, filled(path), client.request(method, filled(path), **body).status_code


def test_litellm_has_hundreds_of_routes_and_those_that_are_served(routes: list[tuple[str, str]]):
    paths = {path for _, path in routes}

    assert len(paths) > 500
    assert set(ROUTES) <= paths


def test_without_a_key_nothing_answers_but_health(door: Asked, routes: list[tuple[str, str]]):
    seen = list(statuses(door.gateway.url, routes, {}))

    answered = {(method, path) for method, path, status in seen if status not in (401, 404, 405)}
    assert answered == {("GET", path) for path in HEALTH}
    served = {(method, path) for method, path, _ in seen if (route := route_of(path)) and route.method == method}
    assert {(method, path) for method, path, status in seen if status == 401} == served - answered


def test_with_a_key_nothing_is_found_but_what_is_on_the_list(door: Asked, routes: list[tuple[str, str]]):
    seen = list(statuses(door.gateway.url, routes, {"authorization": f"Bearer {KEY}"}))

    found = {path for _, path, status in seen if status not in (404, 405)}
    assert found == set(ROUTES)


@pytest.mark.parametrize("path", sorted({*ROUTES, f"{MODELS}/x"}))
@pytest.mark.parametrize("method", METHODS)
def test_a_served_path_without_a_key_answers_401_or_405_whatever_the_method(door: Asked, method: str, path: str):
    status = httpx.request(method, f"{door.gateway.url}{path}", timeout=120, **PLAIN).status_code
    expected = ROUTES.get(path, ROUTES[MODELS]).method

    assert status == ((200 if path in HEALTH else 401) if method == expected else 405)


@pytest.mark.parametrize(
    "path", ["//v1/models", "/v1/models/../../ui/", "/v1//models", "/%2e%2e/ui", "/V1/models", "/v1/models;x"]
)
def test_a_path_in_disguise_is_no_other_path(door: Asked, path: str):
    headers = {"authorization": f"Bearer {KEY}"}

    assert httpx.get(f"{door.gateway.url}{path}", headers=headers, timeout=120, **PLAIN).status_code == 404


def test_an_answer_says_nothing_of_litellm_or_of_what_is_behind(door: Asked):
    for response in (
        door.get("/v1/models"),
        door.get("/health/readiness", None),
        door.get("/nothing"),
        door.get("/v1/models", None),
    ):
        told = f"{response.headers} {response.text}".lower()

        assert not [word for word in ("litellm", "uvicorn", "127.0.0.1", "1.109", "llm_provider") if word in told]
