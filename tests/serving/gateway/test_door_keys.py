"""Keys at the door, in front of something that answers as LiteLLM does: who comes in, with what, and how often."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from serving.gateway.door import Door
from serving.gateway.keys import Key, digest
from tests.serving.gateway.behind import BODIES, NAMES, Behind, asked, error_of, letting_in

SECRET = "a-secret-that-is-long-enough"
ANNA = Key(owner="anna", sha256=digest(SECRET), names=("w",))
CHAT, COUNT = "/v1/chat/completions", "/v1/messages/count_tokens"
POSTS = {**BODIES, COUNT: {"model": "w", "messages": [{"role": "user", "content": "Hello"}]}}


def annas(**limits: int) -> Behind:
    return Behind(body={}, entrance=letting_in(ANNA.model_copy(update=limits)))


def post(behind: Behind, path: str = CHAT, key: str = SECRET, **changes: Any) -> httpx.Response:
    shown = {"authorization": f"Bearer {key}"} if key else {}
    return asked(behind, "POST", path, shown, json=POSTS[path] | changes)


def told(response: httpx.Response, path: str) -> tuple[int, str]:
    """Status and kind of an error, in the shape of the API of a path."""
    error = error_of(response)
    if path.startswith("/v1/messages"):
        assert response.json()["type"] == "error"
        assert set(error) == {"type", "message"}
    else:
        assert set(error) == {"type", "message", "param", "code"}
    return response.status_code, error["type"]


@pytest.mark.parametrize("path", sorted(POSTS))
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_request_with_a_key_goes_on_with_its_owner_and_as_json(path: str, kind: str):
    behind = annas()
    headers = {"x-api-key": SECRET, "content-type": kind}
    asked(behind, "POST", path, headers, content=json.dumps(POSTS[path]))
    (seen,) = behind.asked

    assert (seen["key"], seen["body"]["model"]) == (ANNA, "w")
    assert seen["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize("path", sorted(POSTS))
@pytest.mark.parametrize("key", ["", "guessed"])
def test_without_a_known_key_nothing_goes_on(path: str, key: str):
    behind = annas()
    response = post(behind, path, key)

    assert (told(response, path), behind.asked) == ((401, "authentication_error"), [])
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_body_without_a_known_key_is_thrown_away_before_the_refusal_so_that_its_sender_reads_it():
    behind = annas()
    came, sent = 0, list[Any]()

    async def receive() -> Any:
        nonlocal came
        came += 1
        assert sent == []
        return {"type": "http.request", "body": b"x" * 1_000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": CHAT, "method": "POST", "headers": [(b"x-api-key", b"guessed")]}
    asyncio.run(Door(behind, behind.entrance, NAMES, 10_000, behind.aside)(scope, receive, send))

    assert (sent[0]["status"], came, behind.asked) == (401, 10, [])


@pytest.mark.parametrize("path", sorted(POSTS))
@pytest.mark.parametrize("name", ["v", ["w"], None, "gpt-4o"])
def test_a_key_for_a_name_brings_nothing_else_in(path: str, name: Any):
    behind = annas()
    response = post(behind, path, model=name)

    assert (told(response, path), behind.asked) == ((403, "permission_error"), [])


@pytest.mark.parametrize("content", [b"", b"model=w", b'{"model": "w"', b"[" * 5_000, b"\xff", b"[]", b'"w"'])
def test_a_body_that_is_no_json_object_goes_nowhere(content: bytes):
    behind = annas()
    response = asked(behind, "POST", CHAT, {"x-api-key": SECRET}, content=content)

    assert (told(response, CHAT), behind.asked) == ((400, "invalid_request_error"), [])


@pytest.mark.parametrize("path", sorted(POSTS))
def test_what_is_this_labs_to_say_is_refused_by_its_name(path: str):
    behind = annas()
    response = post(behind, path, extra_headers={"x-cidermill-key": "ben"})

    assert (told(response, path), behind.asked) == ((400, "invalid_request_error"), [])
    assert "extra_headers" in error_of(response)["message"]


@pytest.mark.parametrize("path", sorted(BODIES))
def test_over_a_limit_it_is_told_when_to_come_again(path: str):
    behind = annas(requests_per_minute=1)
    post(behind, path)
    refused = post(behind, path)

    assert (len(behind.asked), told(refused, path)) == (1, (429, "rate_limit_error"))
    assert int(refused.headers["retry-after"]) in (59, 60)


def test_what_is_no_answer_is_not_counted():
    behind = annas(requests_per_minute=1)
    for _ in range(3):
        post(behind, COUNT)
        asked(behind, "GET", "/v1/models", {"x-api-key": SECRET})

    assert len(behind.asked) == 6
    assert post(behind).status_code != 429


def test_a_refused_request_is_not_counted():
    behind = annas(requests_per_minute=1)
    for _ in range(3):
        post(behind, model="v")

    assert post(behind).status_code != 429


def test_the_list_of_names_is_refused_in_the_shape_of_whoever_asks():
    openai, anthropic = (
        asked(annas(), "GET", "/v1/models", headers) for headers in ({}, {"anthropic-version": "2023-06-01"})
    )

    assert (openai.status_code, anthropic.status_code) == (401, 401)
    assert "param" in error_of(openai)
    assert anthropic.json()["type"] == "error"


@pytest.mark.parametrize("path", ["/health/liveliness", "/health/readiness"])
def test_whether_the_gateway_runs_is_told_to_everybody(path: str):
    assert asked(annas(), "GET", path, {}).status_code == 200


def test_a_client_that_goes_before_its_request_is_whole_is_answered_by_nobody():
    behind, sent = annas(), list[Any]()
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": CHAT, "method": "POST", "headers": [(b"x-api-key", SECRET.encode())]}
    asyncio.run(Door(behind, behind.entrance, NAMES, 10_000, behind.aside)(scope, receive, send))

    assert (sent, behind.asked) == ([], [])


def test_a_client_cannot_bring_the_header_by_which_endpoints_know_whose_request_it_is():
    behind = annas()
    asked(behind, "POST", CHAT, {"x-api-key": SECRET, "X-Cidermill-Key": "ben"}, json=POSTS[CHAT])

    assert "x-cidermill-key" not in behind.asked[0]["headers"]
