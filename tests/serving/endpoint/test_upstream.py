from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from serving.endpoint.upstream import Event, Upstream
from serving.errors import RequestRefused, UpstreamFailed
from tests.serving.replicas import replica
from tests.serving.speaking import USAGE, Script, chat, speaking, text

CHAT = "/v1/chat/completions"


@pytest.fixture
def script() -> Iterator[Script]:
    with speaking() as script:
        yield script


def complete(script: Script, path: str = CHAT) -> dict[str, Any]:
    return asyncio.run(Upstream(replica(rank_port=script.port)).complete(path, {"temperature": 0}))


def events(script: Script) -> list[Event]:
    async def collect() -> list[Event]:
        return [event async for event in Upstream(replica(rank_port=script.port)).events(CHAT, {})]

    return asyncio.run(collect())


def test_it_always_streams_the_one_model_with_usage(script: Script):
    script.say(chat(content="x"))
    complete(script)

    assert script.asked == [
        (
            CHAT,
            {
                "temperature": 0,
                "model": "default_model",
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        )
    ]


def test_a_chat_is_put_together(script: Script):
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    script.say(chat(reasoning="hm"), chat(content="a"), chat(content="b"), chat("tool_calls", tool_calls=[call]), USAGE)

    answer = complete(script)

    assert answer["object"] == "chat.completion"
    assert answer["usage"] == USAGE["usage"]
    assert answer["choices"] == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "ab",
                "reasoning": "hm",
                "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        }
    ]


def test_a_text_is_put_together(script: Script):
    script.say(text("a"), text("b", "length"))

    answer = complete(script, "/v1/completions")

    assert answer["object"] == "text_completion"
    assert answer["choices"] == [{"index": 0, "finish_reason": "length", "logprobs": None, "text": "ab"}]


def test_comments_keep_their_place(script: Script):
    script.say(chat(content="x"))
    script.lines.insert(0, ": keepalive 1/2")

    assert events(script) == [": keepalive 1/2", chat(content="x")]


def test_an_answer_that_breaks_off_is_a_failure(script: Script):
    script.say(chat(content="x"), done=False)

    with pytest.raises(UpstreamFailed, match="ended its answer before it was whole"):
        complete(script)


def test_an_answer_without_a_choice_is_a_failure(script: Script):
    script.say(USAGE)

    with pytest.raises(UpstreamFailed, match="without a choice"):
        complete(script)


def test_what_is_no_json_is_a_failure(script: Script):
    script.lines = ["data: {oops"]

    with pytest.raises(UpstreamFailed, match="no JSON"):
        complete(script)


def test_nobody_listening_is_a_failure():
    with pytest.raises(UpstreamFailed, match="ConnectError"):
        complete(Script(port=1))


def test_an_error_before_the_first_token_is_the_requests_fault(script: Script):
    script.status, script.error = 404, "Only 'text' content type is supported."

    with pytest.raises(RequestRefused, match="Only 'text' content type is supported"):
        complete(script)


@pytest.mark.parametrize(("status", "error"), [(404, "generation thread died"), (500, "whatever")])
def test_a_dead_loop_is_not_the_requests_fault(script: Script, status: int, error: str):
    script.status, script.error = status, error

    with pytest.raises(UpstreamFailed):
        complete(script)


def test_who_stops_listening_ends_the_answer_upstream(script: Script):
    script.say(chat(content="x"), done=False)
    script.endless = True

    async def listen_once() -> None:
        events = Upstream(replica(rank_port=script.port)).events(CHAT, {})
        await anext(events)
        await events.aclose()

    asyncio.run(listen_once())

    assert script.client_left.wait(10)
