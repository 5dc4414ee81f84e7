"""The door in front of something that answers as LiteLLM does: what passes, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving.gateway.apis import ROUTES
from serving.gateway.aside import Refusal
from tests.serving.gateway.behind import BODIES, DISCLOSING, KEY, LITELLMS, Behind, asked, error_of


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
    behind = Behind()
    for sent in ({"json": {"model": "nope"}}, {"content": b"{"}, {"content": b"x" * 20_000}):
        response = asked(behind, "POST", path, {}, **sent)

        assert (response.status_code, error_of(response)["type"]) == (401, "authentication_error")
        assert "it shows no key" in error_of(response)["message"]
    assert behind.asked == []


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
