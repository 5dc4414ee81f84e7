"""The API table: the running gateway, asked over every API it speaks, judged by the vendors' own types."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from anthropic.types import MessageTokensCount, ModelInfo
from openai.types import Model

from tests.plain import PLAIN
from tests.serving.endpoint.clients import tokenizer
from tests.serving.gateway.api_cases import (
    ANSWERS,
    APIS,
    CHATTING,
    FINISH,
    LONG,
    PASSED,
    PATHS,
    REFUSED,
    TOOL,
    Passed,
    Refused,
    Saying,
    ask,
)
from tests.serving.gateway.conftest import ALIASES, Asked
from tests.serving.gateway.endpoints import HE, Answer, Reset
from tests.serving.gateway.judging import events_of, judged, judged_error, read_stream, read_whole
from tests.serving.speaking import USAGE, chat, made_of, said, text

KINDS = ["whole", "streamed"]
PUBLISHED = {"context_window", "context_length", "max_model_len", "max_input_tokens", "max_output_tokens", "pricing"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("api", "what", "saying"), ANSWERS, ids=[f"{api}-{what}" for api, what, _ in ANSWERS])
def test_what_weights_say_is_told_in_the_apis_own_types(door: Asked, api: str, what: str, saying: Saying, kind: str):
    door.weights.say(*saying.chunks)
    tools = {"tools": [TOOL[api]]} if saying.needs_tool else {}
    counted = {"stream_options": {"include_usage": True}} if kind == "streamed" and api in ("chat", "text") else {}
    response = door.post(PATHS[api], ask(api, **tools, **counted, stream=kind == "streamed"))

    assert response.status_code == 200, response.text
    told = (read_stream if kind == "streamed" else read_whole)(api, response)
    assert (told.text, told.thought, told.calls) == (saying.text, saying.thought, saying.calls)
    assert told.finish == FINISH[api][saying.finish]
    assert told.said_tokens == USAGE["usage"]["completion_tokens"]
    assert response.headers["x-cidermill-replica"] == "a"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.api}-{case.what}")
def test_what_cannot_be_answered_is_refused_in_the_apis_own_shape(door: Asked, case: Refused, kind: str):
    body = case.body if kind == "whole" or "stream" in case.body else {**case.body, "stream": True}
    response = door.post(PATHS[case.api], body)

    assert response.status_code == case.status, response.text
    error = judged_error(case.api, response.json())
    assert case.words in error["message"]
    assert "itellm" not in response.text
    if case.code is not None and case.api != "messages":
        assert error["code"] == case.code
    assert door.weights.asked == []


@pytest.mark.parametrize("case", PASSED, ids=lambda case: f"{case.api}-{case.what}")
def test_what_is_asked_reaches_the_weights_as_it_was_meant(door: Asked, case: Passed):
    chunks = [text("Hello", "stop"), USAGE] if case.api == "text" else [chat("stop", content="Hello"), USAGE]
    door.weights.say(*chunks)
    response = door.post(PATHS[case.api], case.body)

    assert response.status_code == 200, response.text
    ((_, seen),) = door.weights.asked
    assert {name: seen.get(name) for name in case.asked} == case.asked
    assert response.headers.get("x-cidermill-left-out") == case.left_out


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", ["cider-1", *ALIASES])
def test_an_answer_comes_under_the_name_that_was_asked_for(door: Asked, api: str, name: str):
    door.weights.say(*([text("x", "stop")] if api == "text" else [chat("stop", content="x")]), USAGE)
    answer = door.post(PATHS[api], ask(api, name=name))
    stream = door.post(PATHS[api], ask(api, name=name, stream=True))

    assert answer.json()["model"] == name
    events = [event for _, event in events_of(stream) if event != "[DONE]"]
    named = [event.get("message", event.get("response", event)).get("model") for event in events]
    assert {each for each in named if each} == {name}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("key", [None, "Bearer", "sk-wrong", "sk-of-the-tesT"])
def test_a_wrong_key_is_a_401_in_the_apis_own_shape(door: Asked, api: str, key: str | None):
    response = door.post(PATHS[api], ask(api), key)

    assert response.status_code == 401
    error = judged_error(api, response.json())
    assert error["type"] == "authentication_error"
    assert "key" in error["message"]


@pytest.mark.parametrize("api", APIS)
def test_a_key_may_come_in_anthropics_header(door: Asked, api: str):
    door.weights.say(*([text("x", "stop")] if api == "text" else [chat("stop", content="x")]), USAGE)

    assert door.post(PATHS[api], ask(api), None, x_api_key="sk-of-the-test").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", APIS)
def test_full_replicas_are_a_429_that_says_when_to_come_again(door: Asked, api: str, kind: str):
    fault = {"message": "all slots are taken", "type": "rate_limit_error", "param": None, "code": "queue_full"}
    door.scripted.always = Answer(status=429, error=fault, headers={"retry-after": "7"})
    response = door.post(PATHS[api], ask(api, name="cider-2", stream=kind == "streamed"))

    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    error = judged_error(api, response.json())
    assert (error["type"], error["message"]) == ("rate_limit_error", "all slots are taken")


@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_is_lost_in_the_middle_ends_in_an_error_and_not_well(door: Asked, api: str):
    """LiteLLM 1.109.1 ends a completion that breaks off as if it were whole."""
    begun = [made_of(text("He"), 1)] if api == "text" else [HE]
    other = [made_of(text("Good day"), 1, 2)] if api == "text" else [made_of(chat(content="Good day"), 1, 2)]
    door.scripted.plan(*said(*begun, done=False), Reset())
    door.scripted.always = Answer([*said(*other)])
    response = door.post(PATHS[api], ask(api, name="cider-2", stream=True))

    assert response.status_code == 200
    events = [event for _, event in events_of(response)]
    assert _error_in(api, events[-1])["message"].startswith("replica 'b' lost this request")
    assert "itellm" not in response.text
    assert not any(_is_an_end(api, event) for event in events)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_is_lost_before_its_first_word_is_an_error_and_no_empty_answer(door: Asked, api: str, kind: str):
    """LiteLLM 1.109.1 makes an empty, successful answer of a backend that dies after its headers."""
    door.scripted.always = Answer([Reset()])
    response = door.post(PATHS[api], ask(api, name="cider-2", stream=kind == "streamed"))

    assert response.status_code in (502, 503)
    assert "itellm" not in response.text
    judged_error(api, response.json())


def _error_in(api: str, event: Any) -> Any:
    return event["response"]["error"] if api == "responses" else event["error"]


def _is_an_end(api: str, event: Any) -> bool:
    if event == "[DONE]" or event.get("type") in ("message_stop", "message_delta", "response.completed"):
        return True
    return any(choice.get("finish_reason") for choice in event.get("choices", ()))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff", b"x" * 2_000_000], ids=str)
def test_a_body_that_is_no_request_is_refused(door: Asked, api: str, content: bytes):
    headers = {"authorization": "Bearer sk-of-the-test", "content-type": "application/json"}
    response = httpx.post(f"{door.gateway.url}{PATHS[api]}", content=content, headers=headers, timeout=120, **PLAIN)

    assert response.status_code == (413 if len(content) > 2**20 else 400)
    judged_error(api, response.json())


def test_a_request_needs_not_say_that_it_is_json(door: Asked):
    """LiteLLM 1.109.1 reads a body of curl's default type as a form."""
    door.weights.say(chat("stop", content="Hello"), USAGE)
    headers = {"authorization": "Bearer sk-of-the-test", "content-type": "application/x-www-form-urlencoded"}
    content = json.dumps(ask("chat"))
    response = httpx.post(f"{door.gateway.url}{PATHS['chat']}", content=content, headers=headers, timeout=120, **PLAIN)

    assert read_whole("chat", response).text == "Hello"


@pytest.mark.parametrize("api", APIS)
def test_usage_comes_in_a_stream_of_openais_only_when_asked_for(door: Asked, api: str):
    door.weights.say(*([text("x", "stop")] if api == "text" else [chat("stop", content="x")]), USAGE)
    told = read_stream(api, door.post(PATHS[api], ask(api, stream=True)))

    assert (told.said_tokens is None) == (api in ("chat", "text"))


def test_a_stream_of_anthropics_begins_with_the_length_of_the_prompt(door: Asked):
    """LiteLLM 1.109.1 says 0."""
    door.weights.say(chat("stop", content="x"), USAGE)
    counted = door.post("/v1/messages/count_tokens", ask("messages", "How are you?", max_tokens=None)).json()
    told = read_stream("messages", door.post(PATHS["messages"], ask("messages", "How are you?", stream=True)))

    assert told.asked_tokens == counted["input_tokens"] > 0


COUNTED: dict[str, dict[str, Any]] = {
    "a word": {},
    "a system's word": {"system": "You are kind, and you say so. " * 20},
    "a tool": {"tools": [TOOL["messages"]]},
    "with what a message has": {"max_tokens": 50, "stream": True, "temperature": 0.5},
}


@pytest.mark.parametrize("what", COUNTED)
def test_tokens_are_counted_as_the_weights_would_read_them(door: Asked, what: str):
    """LiteLLM 1.109.1 estimates, by the tokenizer of other weights."""
    body = ask("messages", "How are you today?", max_tokens=None) | COUNTED[what]
    response = door.post("/v1/messages/count_tokens", body)
    judged(MessageTokensCount, response.json())
    door.weights.say(chat("stop", content="x"), USAGE)
    door.post(PATHS["messages"], {**body, "max_tokens": 5, "stream": False})
    ((_, asked),) = door.weights.asked

    assert response.json()["input_tokens"] == len(tokenizer().result().tokens("chat", asked))


def test_a_prompt_that_does_not_fit_is_counted_all_the_same(door: Asked):
    assert door.post("/v1/messages/count_tokens", ask("messages", LONG)).json()["input_tokens"] > 3000


@pytest.mark.parametrize(
    "body",
    [{"model": "cider-1"}, {"model": "cider-1", "messages": "x"}, {"messages": [{"role": "user", "content": "x"}]}],
)
def test_what_cannot_be_counted_is_refused(door: Asked, body: dict[str, Any]):
    response = door.post("/v1/messages/count_tokens", body)

    assert response.status_code == 400
    judged_error("messages", response.json())


def test_an_unknown_name_cannot_be_counted_for(door: Asked):
    assert door.post("/v1/messages/count_tokens", ask("messages", name="nope")).status_code == 404


def test_nothing_is_counted_without_a_key(door: Asked):
    assert door.post("/v1/messages/count_tokens", ask("messages"), None).status_code == 401


def test_all_names_are_listed_with_what_they_hold_and_cost(door: Asked):
    listed = door.get("/v1/models").json()

    assert [entry["id"] for entry in listed["data"]] == ["cider-1", *ALIASES, "cider-2"]
    for entry in listed["data"]:
        judged(Model, {name: value for name, value in entry.items() if name not in PUBLISHED})
        assert {entry[name] for name in PUBLISHED - {"pricing"}} == {2048}
    assert listed["data"][1]["pricing"] == {"prompt": "0.0000005", "completion": "0.000002"}


@pytest.mark.parametrize("name", ["cider-1", *ALIASES])
def test_a_name_can_be_asked_about(door: Asked, name: str):
    assert door.get(f"/v1/models/{name}").json()["id"] == name


def test_anthropics_clients_are_told_the_names_in_their_types(door: Asked):
    listed = door.get("/v1/models", anthropic_version="2023-06-01").json()

    for entry in listed["data"]:
        judged(ModelInfo, json.loads(json.dumps(entry)) | {"created_at": _moment(entry["created_at"])})
    assert listed["last_id"] == "cider-2"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/cider-1"])
def test_names_are_told_to_nobody_without_a_key(door: Asked, path: str):
    assert door.get(path, None).status_code == 401
    assert "cider-1" not in door.get(path, "sk-wrong").text


def test_an_unknown_name_cannot_be_asked_about(door: Asked):
    response = door.get("/v1/models/nope")

    assert response.status_code == 404
    assert judged_error("chat", response.json())["code"] == "model_not_found"


@pytest.mark.parametrize("api", CHATTING)
def test_a_form_is_asked_of_the_weights(door: Asked, api: str):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    named = {"name": "n", "schema": schema, "strict": True}
    wanted: dict[str, dict[str, Any]] = {
        "chat": {"response_format": {"type": "json_schema", "json_schema": named}},
        "messages": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        "responses": {"text": {"format": {"type": "json_schema", **named}}},
    }
    door.weights.say(chat("stop", content='{"a":1}'), USAGE)
    response = door.post(PATHS[api], ask(api, **wanted[api]))

    assert read_whole(api, response).text == '{"a":1}'
    ((_, asked),) = door.weights.asked
    assert '"integer"' in asked["cidermill"]["grammar"]


@pytest.mark.parametrize("choice", ["forced", "named"])
@pytest.mark.parametrize("api", CHATTING)
def test_a_call_is_asked_of_the_weights(door: Asked, api: str, choice: str):
    wanted: dict[str, dict[str, Any]] = {
        "chat": {"forced": "required", "named": {"type": "function", "function": {"name": "get_weather"}}},
        "messages": {"forced": {"type": "any"}, "named": {"type": "tool", "name": "get_weather"}},
        "responses": {"forced": "required", "named": {"type": "function", "name": "get_weather"}},
    }
    door.weights.say(chat("stop", content="x"), USAGE)
    response = door.post(PATHS[api], ask(api, tools=[TOOL[api]], tool_choice=wanted[api][choice]))

    assert response.status_code == 200, response.text
    ((_, asked),) = door.weights.asked
    assert "get_weather" in asked["cidermill"]["grammar"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_custom_tools_call_is_told_as_one(door: Asked, kind: str):
    """LiteLLM 1.109.1 streams its input as the arguments of a function."""
    function = {"name": "apply_patch", "arguments": '{"content": "*** Begin \\"x\\""}'}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    door.weights.say(chat("tool_calls", tool_calls=[call]), USAGE)
    tool = {"type": "custom", "name": "apply_patch", "description": "Patches.", "format": {"type": "text"}}
    response = door.post(PATHS["responses"], ask("responses", tools=[tool], stream=kind == "streamed"))
    (read_stream if kind == "streamed" else read_whole)("responses", response)

    whole = response.json() if kind == "whole" else events_of(response)[-1][1]["response"]
    assert [(item["type"], item["input"]) for item in whole["output"]] == [("custom_tool_call", '*** Begin "x"')]


def test_arguments_that_are_no_json_are_an_error_to_anthropics_clients(door: Asked):
    """LiteLLM 1.109.1 answers 500; Anthropic's clients take an input that is an object."""
    function = {"name": "get_weather", "arguments": '{"city": '}
    door.weights.say(
        chat("tool_calls", tool_calls=[{"index": 0, "id": "c", "type": "function", "function": function}]), USAGE
    )
    response = door.post(PATHS["messages"], ask("messages", tools=[TOOL["messages"]]))

    assert response.status_code == 502
    judged_error("messages", response.json())


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


@pytest.mark.parametrize("kind", KINDS)
def test_anthropics_clients_are_told_which_stop_sequence_ended_an_answer(door: Asked, kind: str):
    """LiteLLM 1.109.1 says end_turn."""
    *tokens, last = tokenizer().result().tokens("text", {"prompt": "one two three"})
    door.weights.say(made_of(chat(content="one two"), *tokens), made_of(chat("stop"), last), USAGE)
    streamed = kind == "streamed"
    response = door.post(PATHS["messages"], ask("messages", stop_sequences=["four", "three"], stream=streamed))

    assert (read_stream if streamed else read_whole)("messages", response).finish == "stop_sequence"
    ended = events_of(response)[-2][1]["delta"] if streamed else response.json()
    assert ended["stop_sequence"] == "three"
