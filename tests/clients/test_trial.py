"""What a record is judged by, from exchanges made up here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.recording import Exchange
from tests.clients.trial import CLIENTS, Trial

RESULTS: list[dict[str, Any]] = [
    {"messages": [{"role": "tool", "tool_call_id": "1", "content": "18 C"}]},
    {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "18 C"}]}]},
    {"input": [{"type": "function_call_output", "call_id": "1", "output": "18 C"}]},
]
QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}


def exchange(body: dict[str, Any], status: int = 200, **changes: Any) -> Exchange:
    return Exchange("POST", "/v1/chat/completions", json.dumps(body).encode(), status, **changes)


def trial(*exchanges: Exchange, ended: int = 0, elsewhere: tuple[str, ...] = ()) -> Trial:
    return Trial("openai", CLIENTS["openai"], "chat: as it should be", ended, exchanges, elsewhere)


@pytest.mark.parametrize("body", RESULTS, ids=["chat", "messages", "responses"])
def test_a_tools_result_that_was_answered_is_a_round_trip(body: dict[str, Any]):
    assert trial(exchange(body)).faults == []


@pytest.mark.parametrize("answered", [exchange(RESULTS[0], cut="reset"), exchange(QUESTION)], ids=["cut", "no result"])
def test_without_an_answered_result_there_is_no_round_trip(answered: Exchange):
    assert trial(answered).faults == ["no tool's result was answered"]


def test_a_refused_request_is_a_fault_whatever_the_client_makes_of_it():
    assert trial(exchange(RESULTS[0]), exchange(QUESTION, 400)).faults == ["POST /v1/chat/completions: 400"]


def test_a_client_that_goes_elsewhere_is_at_fault():
    assert trial(exchange(RESULTS[0]), elsewhere=("example.com:443",)).faults == ["it went to example.com:443"]


def test_a_script_that_asked_nothing_has_not_conversed():
    assert not trial().conversed


def test_only_what_came_as_a_stream_was_streamed():
    asked = QUESTION | {"stream": True}

    assert not trial(exchange(asked, kind="application/json")).streamed
    assert trial(exchange(asked, kind="text/event-stream; charset=utf-8")).streamed
