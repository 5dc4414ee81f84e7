"""Keys at the daemon as launchd starts it: the real LiteLLM between the entrance and the relay."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import pytest

from serving.gateway.keys import Key, digest, written
from tests.serving.gateway.endpoints import HE, HELLO_WHOLE, Answer, Reset, Scripted, endpoint
from tests.serving.gateway.starting import KEY, OWN, free_ports, started
from tests.serving.speaking import said
from tests.serving.waiting import wait_until

MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT: dict[str, Any] = {"model": "cider-1", "messages": MESSAGES}
APIS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT | {"max_tokens": 5},
    "/v1/responses": {"model": "cider-1", "input": "Hello"},
}
COMPLETION = {"/v1/completions": {"model": "cider-1", "prompt": "Hello"}}


class Gateway:
    """The gateway under test, from outside."""

    def __init__(self, url: str, keys: Path) -> None:
        self._http = httpx.Client(base_url=url, timeout=120)
        self._keys = keys

    def hand_out(self, *keys: Key) -> None:
        """Only the lab's own key and these are valid from now on."""
        new = self._keys.with_name("keys.new")
        new.write_text(written([OWN, *keys]))
        new.replace(self._keys)

    def ask(self, key: str = KEY, body: Any = CHAT, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        shown = {"authorization": f"Bearer {key}"} if key else {}
        return self._http.post(path, json=body, headers={**shown, **headers})

    def streaming(self, key: str, body: dict[str, Any] = CHAT, path: str = "/v1/chat/completions") -> Any:
        headers = {"authorization": f"Bearer {key}"}
        return self._http.stream("POST", path, json=body | {"stream": True}, headers=headers)

    def names(self, key: str) -> list[str]:
        listed = self._http.get("/v1/models", headers={"authorization": f"Bearer {key}"}).json()
        return sorted(each["id"] for each in listed["data"])


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Scripted, Scripted]]:
    with endpoint("a") as a, endpoint("b") as b:
        yield a, b


@pytest.fixture(scope="module")
def process(
    both: tuple[Scripted, Scripted], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Popen[bytes], Gateway]]:
    directory, ports = tmp_path_factory.mktemp("gateway"), free_ports()
    process = started(directory, ports, *both, name="cider-2")
    yield process, Gateway(f"http://127.0.0.1:{ports[0]}", directory / "keys.json")
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def gateway(process: tuple[Popen[bytes], Gateway]) -> Gateway:
    process[1].hand_out()
    return process[1]


@pytest.fixture
def a(both: tuple[Scripted, Scripted]) -> Scripted:
    return both[0].afresh()


@pytest.fixture
def b(both: tuple[Scripted, Scripted]) -> Scripted:
    return both[1].afresh()


_numbers = iter(range(1000))


def made(**limits: Any) -> tuple[str, Key]:
    """A new key and what the gateway is told of it."""
    owner = f"owner-{next(_numbers)}"
    secret = f"sk-{owner}-which-is-long-enough"
    return secret, Key(owner=owner, sha256=digest(secret), **limits)


def error(response: httpx.Response) -> dict[str, Any]:
    return response.json()["error"]


@pytest.mark.parametrize("path", [*APIS, *COMPLETION])
def test_the_endpoint_is_told_whose_request_it_is_whichever_api_was_spoken(gateway: Gateway, a: Scripted, path: str):
    secret, key = made()
    gateway.hand_out(key)

    response = gateway.ask(secret, (APIS | COMPLETION)[path], path)

    assert (response.status_code, a.headers[0]["x-cidermill-key"]) == (200, key.owner)
    assert secret not in json.dumps([*a.headers, *a.asked])
    assert key.sha256 not in json.dumps([*a.headers, *a.asked])


@pytest.mark.parametrize("path", [*APIS, *COMPLETION])
def test_a_client_cannot_say_that_its_request_is_somebody_elses(gateway: Gateway, a: Scripted, path: str):
    body = (APIS | COMPLETION)[path]
    other = {"x-cidermill-key": "somebody"}
    written_in = {"provider_specific_header": {"custom_llm_provider": "hosted_vllm", "extra_headers": other}}

    gateway.ask(body=body, path=path, **other)
    gateway.ask(body=body | written_in, path=path)

    assert [headers["x-cidermill-key"] for headers in a.headers] == ["lab", "lab"]


@pytest.mark.parametrize("field", ["extra_headers", "headers", "fallbacks", "api_key", "router_settings_override"])
def test_what_litellm_would_take_from_a_body_to_send_it_elsewhere_is_refused(gateway: Gateway, a: Scripted, field: str):
    value = ["cider-2"] if field == "fallbacks" else "x" if field == "api_key" else {"x-cidermill-key": "somebody"}
    statuses = [gateway.ask(body=body | {field: value}, path=path).status_code for path, body in APIS.items()]

    assert (statuses, a.asked) == ([400, 400, 400], [])
