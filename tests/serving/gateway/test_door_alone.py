"""The door in front of something that answers as LiteLLM does: what passes, and in which words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from serving.gateway.apis import ROUTES
from serving.gateway.aside import Aside, Refusal
from serving.gateway.door import Door
from serving.gateway.names import served_names
from tests.serving.declarations import declared

NAMES = served_names(declared(weights__0__also_called=["gpt-4o", "org/w:1"]), {"a", "b"})
KEY = {"authorization": "Bearer sk-1"}
MESSAGES = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "w", "messages": MESSAGES},
    "/v1/completions": {"model": "w", "prompt": "Once"},
    "/v1/messages": {"model": "w", "messages": MESSAGES, "max_tokens": 9},
    "/v1/responses": {"model": "w", "input": "Hello"},
}
DISCLOSING = {
    "x-litellm-version": "1.109.1",
    "x-litellm-model-api-base": "http://127.0.0.1:7442/v1",
    "llm_provider-server": "uvicorn",
    "x-litellm-model-id": "w",
}
LITELLMS = (
    "litellm.BadRequestError: Hosted_vllmException - {}\n\n"
    "LiteLLM: model group 'w' failed with the error above. No fallback was attempted."
)


@dataclass
class Behind:
    """What answers in LiteLLM's place."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    events: Sequence[str] = ()
    refusal: Refusal | None = None
    raises: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    aside: Aside = field(default_factory=Aside)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = (await receive())["body"] if scope["method"] == "POST" else b""
        self.asked.append({"path": scope["path"], "headers": headers, "body": json.loads(body or b"null")})
        word = self.aside.word(headers.get("x-cidermill-request"))
        word.asked, word.refusal, word.replica = self.refusal is not None, self.refusal, "a"
        if self.raises:
            raise RuntimeError("nobody thought of this")
        kind = "text/event-stream" if self.events else "application/json"
        told = {"content-type": kind, **DISCLOSING, **self.headers}
        sent = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": sent})
        for event in self.events:
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        content = b"" if self.events else json.dumps(self.body).encode()
        await send({"type": "http.response.body", "body": content, "more_body": False})


def asked(behind: Behind, method: str, path: str, headers: Mapping[str, str] = KEY, **sent: Any) -> httpx.Response:
    door = Door(behind, NAMES, 10_000, behind.aside)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(door)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, headers=headers, **sent)

    return asyncio.run(ask())


def error_of(response: httpx.Response) -> dict[str, Any]:
    return response.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ui/",
        "/config/update",
        "/v1/models/../../ui",
        "/public/x",
        "/openapi.json",
        "/v1/chat/completions/",
        "/metrics",
    ],
)
def test_a_path_that_is_not_listed_never_reaches_litellm(path: str):
    behind = Behind()

    assert asked(behind, "GET", path).status_code == 404
    assert behind.asked == []


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_a_listed_path_is_served_in_one_way_only(path: str):
    behind = Behind()
    other = "GET" if ROUTES[path].method == "POST" else "POST"

    assert asked(behind, other, path).status_code == 405
    assert behind.asked == []


@pytest.mark.parametrize("path", sorted(BODIES))
def test_litellm_gets_no_field_that_is_not_of_the_api(path: str):
    behind = Behind(body={})
    response = asked(behind, "POST", path, json={**BODIES[path], "api_base": "http://else", "mock_response": "no"})

    assert response.status_code == 400 or not {"api_base", "mock_response"} & set(behind.asked[0]["body"])


def test_litellm_gets_no_header_that_is_not_on_the_list():
    behind = Behind(body={"choices": []})
    more = {"x-litellm-tags": "a", "x-cidermill-request": "mine", "x-cidermill-count": "1", "x-goog-api-key": "k"}
    asked(behind, "POST", "/v1/chat/completions", KEY | more, json=BODIES["/v1/chat/completions"])

    (seen,) = behind.asked
    assert not set(more) & set(seen["headers"]) - {"x-cidermill-request"}
    assert seen["headers"]["x-cidermill-request"] != "mine"


@pytest.mark.parametrize("path", sorted(BODIES))
def test_an_answer_tells_nothing_of_what_is_behind(path: str):
    response = asked(Behind(body={}, headers={"retry-after": "3"}), "POST", path, json=BODIES[path])

    assert not set(DISCLOSING) & set(response.headers)
    assert response.headers["retry-after"] == "3"
    assert response.headers["x-cidermill-replica"] == "a"
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", sorted(BODIES))
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_that_is_too_large_is_refused_in_the_apis_own_shape(path: str, declared: bool):
    behind, content = Behind(), b'{"model": "' + b"w" * 20_000 + b'"}'

    async def pieces() -> Any:
        yield content

    response = asked(behind, "POST", path, content=content if declared else pieces())

    assert response.status_code == 413
    assert ("type" in response.json()) == (path == "/v1/messages")
    assert "more than 10000 bytes" in error_of(response)["message"]
    assert behind.asked == []


@pytest.mark.parametrize("path", sorted(BODIES))
def test_without_a_key_nothing_is_said_of_a_request_but_that_it_needs_one(path: str):
    behind = Behind(401, body={"error": {"message": "a key", "type": "authentication_error", "code": "401"}})
    for sent in ({"json": {"model": "nope"}}, {"content": b"{"}, {"content": b"x" * 20_000}):
        response = asked(behind, "POST", path, {}, **sent)

        assert (response.status_code, error_of(response)["message"]) == (401, "a key")
        assert error_of(response)["type"] == "authentication_error"
    assert [each["body"] for each in behind.asked] == [{}, {}, {}]


@pytest.mark.parametrize("path", sorted(BODIES))
def test_an_endpoints_error_comes_in_its_own_words_with_its_code_and_its_retry_after(path: str):
    error = {"message": "all slots are taken", "type": "rate_limit_error", "param": None, "code": "queue_full"}
    behind = Behind(429, body={"error": {"message": LITELLMS}}, refusal=Refusal(429, error, "7"))
    response = asked(behind, "POST", path, json=BODIES[path])

    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    told = error_of(response)
    expected = {"type": "rate_limit_error", "message": "all slots are taken"} if path == "/v1/messages" else error
    assert told == expected


def test_litellms_own_errors_come_without_its_words_about_itself():
    body = {
        "error": {"message": LITELLMS.format("'top_k' must be a number"), "type": "x", "param": "None", "code": "400"}
    }
    response = asked(Behind(400, body=body), "POST", "/v1/chat/completions", json=BODIES["/v1/chat/completions"])

    assert error_of(response) == {
        "message": "'top_k' must be a number",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize("path", sorted(BODIES))
def test_a_name_that_is_not_served_is_a_404(path: str):
    body = {"error": {"message": "Invalid model name passed in model=nope", "code": "400"}}
    response = asked(Behind(400, body=body), "POST", path, json=BODIES[path] | {"model": "nope"})

    assert response.status_code == 404
    assert '"nope"' in error_of(response)["message"]


@pytest.mark.parametrize("path", sorted(BODIES))
def test_what_litellm_cannot_translate_before_anybody_is_asked_is_the_requests_fault(path: str):
    response = asked(
        Behind(500, body={"error": {"message": "'int' object is not iterable"}}), "POST", path, json=BODIES[path]
    )

    assert response.status_code == 400
    assert "object is not iterable" not in response.text


def test_litellm_raising_is_told_in_the_apis_shape():
    response = asked(Behind(raises=True), "POST", "/v1/messages", json=BODIES["/v1/messages"])

    assert response.status_code == 400
    assert response.json()["type"] == "error"


@pytest.mark.parametrize("path", sorted(BODIES))
def test_a_stream_that_ends_without_an_end_is_told_to_be_broken_off(path: str):
    behind = Behind(events=['data: {"choices": [{"index": 0, "delta": {"content": "He"}}], "type": "x"}\n\n'])
    response = asked(behind, "POST", path, json=BODIES[path] | {"stream": True})

    assert response.text.count("broke off") == 1


def test_a_refusal_by_the_relay_ends_a_stream_that_litellm_would_end_well():
    """LiteLLM 1.109.1 ends a completion that broke off with finish_reason "stop"."""
    error = {"message": "replica 'a' lost this request", "type": "server_error", "param": None, "code": "lost"}
    events = [
        'data: {"choices": [{"index": 0, "text": "He"}]}\n\n',
        'data: {"choices": [{"index": 0, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
    ]
    behind = Behind(events=events, refusal=Refusal(502, error))
    response = asked(behind, "POST", "/v1/completions", json=BODIES["/v1/completions"] | {"stream": True})
    told = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if line]

    assert told[0]["choices"][0]["text"] == "He"
    assert told[1:] == [{"error": error}]


def test_a_sign_of_life_passes_at_once():
    events = [
        ": ping\n\n",
        'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
    ]
    path = "/v1/chat/completions"
    response = asked(Behind(events=events), "POST", path, json=BODIES[path] | {"stream": True})

    assert response.text.startswith(": ping\n\n")
    assert response.text.endswith("data: [DONE]\n\n")


def test_events_may_come_in_any_pieces():
    whole = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    path = "/v1/chat/completions"
    pieces = asked(Behind(events=list(whole)), "POST", path, json=BODIES[path] | {"stream": True})

    assert pieces.text == asked(Behind(events=[whole]), "POST", path, json=BODIES[path] | {"stream": True}).text


LISTED = {"object": "list", "data": [{"id": "w"}, {"id": "org/w:1"}, {"id": "*"}]}


def test_names_are_those_that_litellm_lists_for_a_key_with_what_each_holds():
    told = asked(Behind(body=LISTED), "GET", "/v1/models?scope=expand").json()["data"]

    assert [(each["id"], each["context_window"]) for each in told] == [("w", 8192), ("org/w:1", 8192)]


def test_a_name_with_a_slash_is_found():
    assert asked(Behind(body=LISTED), "GET", "/v1/models/org/w:1").json()["id"] == "org/w:1"


def test_a_name_that_is_not_for_a_key_is_not_found():
    response = asked(Behind(body=LISTED), "GET", "/v1/models/gpt-4o")

    assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")


def test_anthropics_clients_get_names_in_their_shape():
    told = asked(Behind(body=LISTED), "GET", "/v1/models", KEY | {"anthropic-version": "2023-06-01"}).json()

    assert (told["first_id"], told["last_id"], told["has_more"]) == ("w", "org/w:1", False)
    assert told["data"][0]["type"] == "model"


def test_health_tells_that_it_runs_and_nothing_else():
    response = asked(Behind(body={"status": "healthy", "litellm_version": "1"}), "GET", "/health/readiness", {})

    assert (response.status_code, response.json()) == (200, {"status": "ready"})
