"""Answers of the gateway, judged by the vendors' own types: no field missing, none of another type, none more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pydantic
from anthropic.types import ErrorResponse, Message, RawMessageStreamEvent
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject

WHOLE: dict[str, Any] = {"chat": ChatCompletion, "text": Completion, "messages": Message, "responses": Response}
EVENT: dict[str, Any] = {
    "chat": ChatCompletionChunk,
    "text": Completion,
    "messages": RawMessageStreamEvent,
    "responses": ResponseStreamEvent,
}
ALLOWED_MORE = {"reasoning_content"}
"""Of vLLM and DeepSeek, whose clients look for it; OpenAI's chat has no word for a thought."""


@dataclass
class Said:
    """What an answer says, whichever API it comes in."""

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = ""
    asked_tokens: int | None = None
    said_tokens: int | None = None


def judged(kind: Any, value: Any) -> Any:
    """The value as the vendor's type. Fails on what is missing, of another type, or more than the type has."""
    told = pydantic.TypeAdapter(kind).validate_python(value, strict=True)
    more = [place for place in _more(told) if place.rpartition(".")[2] not in ALLOWED_MORE]
    assert not more, f"{', '.join(more)} in {value}"
    return told


def judged_error(api: str, body: Any) -> Mapping[str, Any]:
    """An error in the shape of its API; returns its inner object."""
    if api == "messages":
        judged(ErrorResponse, body)
    else:
        assert set(body) == {"error"}
        judged(ErrorObject, body["error"])
    return body["error"]


def events_of(response: httpx.Response) -> list[tuple[str | None, Any]]:
    """Name and data of each event; `[DONE]` as it is."""
    told: list[tuple[str | None, Any]] = []
    for block in response.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in lines:
            data = lines["data"]
            told.append((lines.get("event"), data if data == "[DONE]" else json.loads(data)))
    return told


def read_whole(api: str, response: httpx.Response) -> Said:
    """An answer in one piece, judged and read."""
    told = response.json()
    judged(WHOLE[api], told)
    return _READERS[api](told)


def read_stream(api: str, response: httpx.Response) -> Said:
    """A stream, each event judged, put together and read."""
    events = events_of(response)
    assert (events[-1] == (None, "[DONE]")) == (api in ("chat", "text"))
    told = [(name, data) for name, data in events if data != "[DONE]"]
    for place, (name, data) in enumerate(told):
        assert name == (data["type"] if api in ("messages", "responses") else None)
        if api == "responses":
            assert data["sequence_number"] == place
        judged(EVENT[api], _as_typed(api, data))
    return _STREAM_READERS[api]([data for _, data in told])


def _as_typed(api: str, data: Any) -> Any:
    """OpenAI's own streams of completions have null where its type has none."""
    if api != "text":
        return data
    choices = [each if each["finish_reason"] else {**each, "finish_reason": "stop"} for each in data["choices"]]
    return {**data, "choices": choices}


def _more(value: Any, place: str = "") -> Iterator[str]:
    """Places of fields that a type does not have."""
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{place}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from _more(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _more(each, f"{place}.{number}")


def _chat(told: Any) -> Said:
    (choice,) = told["choices"]
    message, usage = choice["message"], told["usage"]
    calls = [
        (each["function"]["name"], json.loads(each["function"]["arguments"]))
        for each in message.get("tool_calls") or ()
    ]
    thought = message.get("reasoning_content") or ""
    return Said(message["content"] or "", thought, calls, choice["finish_reason"], *_counts(usage))


def _text(told: Any) -> Said:
    (choice,) = told["choices"]
    return Said(choice["text"], "", [], choice["finish_reason"], *_counts(told["usage"]))


def _messages(told: Any) -> Said:
    blocks, usage = told["content"], told["usage"]
    return Said(
        "".join(each["text"] for each in blocks if each["type"] == "text"),
        "".join(each["thinking"] for each in blocks if each["type"] == "thinking"),
        [(each["name"], each["input"]) for each in blocks if each["type"] == "tool_use"],
        told["stop_reason"],
        usage["input_tokens"],
        usage["output_tokens"],
    )


def _responses(told: Any) -> Said:
    items, usage = told["output"], told["usage"]
    return Said(
        "".join(part["text"] for each in items if each["type"] == "message" for part in each["content"]),
        "".join(part["text"] for each in items if each["type"] == "reasoning" for part in each["summary"]),
        [(each["name"], json.loads(each["arguments"])) for each in items if each["type"] == "function_call"],
        told["status"],
        usage["input_tokens"],
        usage["output_tokens"],
    )


def _counts(usage: Any) -> tuple[int, int]:
    return usage["prompt_tokens"], usage["completion_tokens"]


def _chat_stream(events: list[Any]) -> Said:
    said, calls = Said(), dict[int, tuple[str, list[str]]]()
    for event in events:
        for choice in event["choices"]:
            delta = choice["delta"]
            said.text += delta.get("content") or ""
            said.thought += delta.get("reasoning_content") or ""
            said.finish = choice.get("finish_reason") or said.finish
            for call in delta.get("tool_calls") or ():
                function = call["function"]
                calls.setdefault(call["index"], (function.get("name") or "", []))[1].append(function["arguments"] or "")
        if event.get("usage"):
            said.asked_tokens, said.said_tokens = _counts(event["usage"])
    said.calls = [(name, json.loads("".join(parts))) for name, parts in calls.values()]
    return said


def _text_stream(events: list[Any]) -> Said:
    choices = [choice for event in events for choice in event["choices"]]
    counts = [_counts(event["usage"]) for event in events if event.get("usage")]
    finish = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return Said("".join(choice["text"] for choice in choices), "", [], finish[-1], *(counts[-1] if counts else ()))


def _messages_stream(events: list[Any]) -> Said:
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    blocks = dict[int, Any]()
    said = Said(asked_tokens=events[0]["message"]["usage"]["input_tokens"])
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "partial": ""}
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            for part, into in (("text", "text"), ("thinking", "thinking"), ("partial_json", "partial")):
                if part in delta:
                    block[into] += delta[part]
        elif event["type"] == "message_delta":
            said.finish, said.said_tokens = event["delta"]["stop_reason"], event["usage"]["output_tokens"]
    said.text = "".join(block["text"] for block in blocks.values() if block["type"] == "text")
    said.thought = "".join(block["thinking"] for block in blocks.values() if block["type"] == "thinking")
    calls = [block for block in blocks.values() if block["type"] == "tool_use"]
    said.calls = [(block["name"], json.loads(block["partial"])) for block in calls]
    return said


def _responses_stream(events: list[Any]) -> Said:
    last = _responses(events[-1]["response"])
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    thought = "".join(event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta")
    assert (deltas, thought) == (last.text, last.thought)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert len(done) == len(events[-1]["response"]["output"])
    return last


_READERS: dict[str, Any] = {"chat": _chat, "text": _text, "messages": _messages, "responses": _responses}
_STREAM_READERS: dict[str, Any] = {
    "chat": _chat_stream,
    "text": _text_stream,
    "messages": _messages_stream,
    "responses": _responses_stream,
}
