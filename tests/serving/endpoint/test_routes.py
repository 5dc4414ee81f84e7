from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, MutableMapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from serving.api import ReplicaState, StateName
from serving.endpoint.routes import Endpoint
from serving.endpoint.upstream import Upstream
from tests.serving.replicas import replica
from tests.serving.speaking import USAGE, Script, chat, speaking, text
from tests.weights import PATH

HELLO = {"model": "cider-1", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def script() -> Iterator[Script]:
    with speaking() as script:
        script.say(chat(content="He"), chat(content="llo"), chat("stop"), USAGE)
        yield script


def application(script: Script, state: StateName = "ready") -> Starlette:
    told = replica(rank_port=script.port, weights_directory=str(PATH))
    now = ReplicaState(name="a", state=state, reason="", generation=1, restarts=0, ranks={})
    return Starlette(routes=[*Endpoint(told, lambda: now, Upstream(told)).routes()])


def answered(
    script: Script, body: dict[str, Any] | bytes, path: str = "/v1/chat/completions", state: StateName = "ready"
) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application(script, state))
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            return await client.post(path, content=body if isinstance(body, bytes) else json.dumps(body))

    return asyncio.run(ask())


def chunks(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_an_answer_in_one_piece_bears_the_served_name(script: Script):
    answer = answered(script, HELLO).json()

    assert (answer["model"], answer["object"]) == ("cider-1", "chat.completion")
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert answer["usage"] == USAGE["usage"]


def test_a_completion_is_answered_too(script: Script):
    script.say(text("upon"), text(" a time", "length"))

    answer = answered(script, {"prompt": "Once"}, "/v1/completions").json()

    assert answer["choices"][0]["text"] == "upon a time"


def test_a_stream_comes_chunk_by_chunk_under_the_served_name(script: Script):
    response = answered(script, HELLO | {"stream": True})

    *parts, last = chunks(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [part["choices"][0]["delta"].get("content") for part in parts] == ["He", "llo", None]
    assert {(part["model"], part["object"]) for part in parts} == {("cider-1", "chat.completion.chunk")}
    assert last == "[DONE]"


def test_usage_ends_a_stream_only_when_asked_for(script: Script):
    *_, usage, last = chunks(answered(script, HELLO | {"stream": True, "stream_options": {"include_usage": True}}))

    assert (usage["usage"], usage["object"], last) == (USAGE["usage"], "chat.completion.chunk", "[DONE]")


def test_a_stream_that_breaks_off_ends_with_an_error_and_not_with_done(script: Script):
    script.say(chat(content="He"), done=False)

    first, last = chunks(answered(script, HELLO | {"stream": True}))

    assert first["choices"][0]["delta"]["content"] == "He"
    assert last["error"]["type"] == "server_error"
    assert "replica 'a' lost this request" in last["error"]["message"]


def test_a_failure_before_the_first_chunk_has_a_status(script: Script):
    script.status, script.error = 404, "generation thread died"

    assert answered(script, HELLO | {"stream": True}).status_code == 502
    assert answered(script, HELLO).status_code == 502


def test_a_request_at_fault_is_told_in_openais_shape(script: Script):
    response = answered(script, HELLO | {"stop": 5})

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "cannot use 'stop': seen 5, needed a text or a list of at most 16 texts, none of them empty.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": None,
    }
    assert script.asked == []


def test_a_body_beyond_the_limit_is_not_read_to_its_end(script: Script):
    response = answered(script, b" " * 1_000_000)

    assert response.status_code == 413


@pytest.mark.parametrize("state", ["absent", "forming", "loading", "warming", "draining", "failed", "broken"])
def test_a_replica_that_is_not_ready_asks_to_come_again(script: Script, state: StateName):
    response = answered(script, HELLO, state=state)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json()["error"]["message"] == f"replica 'a' is {state}, needed ready."
    assert script.asked == []


def test_the_served_name_is_listed(script: Script):
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application(script))
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            return await client.get("/v1/models")

    assert [served["id"] for served in asyncio.run(ask()).json()["data"]] == ["cider-1"]


def test_a_client_that_leaves_ends_its_answer_upstream(script: Script):
    script.say(chat(content="x"), done=False)
    script.endless = True
    body = json.dumps(HELLO).encode()
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    sent: list[MutableMapping[str, Any]] = []

    async def ask_and_leave() -> None:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": body, "more_body": False})

        async def send(message: Message) -> None:
            sent.append(message)

        answering = asyncio.create_task(application(script)(scope, messages.get, send))
        while not script.asked:
            await asyncio.to_thread(script.client_left.wait, 0.02)
        messages.put_nowait({"type": "http.disconnect"})
        await answering

    asyncio.run(ask_and_leave())

    assert script.client_left.wait(10)
    assert sent[0]["status"] == 499
