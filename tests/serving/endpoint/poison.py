"""Requests that could harm a replica, and what each has to get: its 4xx, or its answer.

Those of the table in which `mlx_lm.server` 0.32.2 was seen to die, hang or lie come first.
"""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
ONCE: dict[str, Any] = {"prompt": "Once", "max_tokens": 4}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}
MEBIBYTE = 1_048_576


@dataclass(frozen=True)
class Row:
    """A request, and the answer it has to get."""

    name: str
    content: bytes
    status: int
    word: str
    """In the body of the answer."""
    path: str = CHAT
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside Host, the token, Content-Type and Content-Length, or in their place; an empty one is left out."""

    def wire(self, token: str) -> bytes:
        """As it goes into a socket."""
        headers = {
            "Host": "endpoint",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(self.content)),
            "Connection": "close",
        } | dict(self.headers)
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.content


def chat(name: str, status: int, word: str, **fields: Any) -> Row:
    """A sound chat with some fields changed."""
    return Row(name, json.dumps(HELLO | fields).encode(), status, word)


def text(name: str, status: int, word: str, **fields: Any) -> Row:
    """A sound completion with some fields changed."""
    return Row(name, json.dumps(ONCE | fields).encode(), status, word, TEXT)


def asked(name: str, status: int, word: str, *messages: Any) -> Row:
    """A chat of these messages."""
    return chat(name, status, word, messages=list(messages))


def raw(name: str, content: bytes, status: int, word: str, **headers: str) -> Row:
    """A body as it is."""
    return Row(name, content, status, word, headers={key.replace("_", "-"): value for key, value in headers.items()})


def _call(arguments: Any, **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function, **more}]}


def _form(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}


def _call_of(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


_SOUND = json.dumps(HELLO).encode()
_ANSWER = '"finish_reason"'
_IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}

KNOWN_TO_HARM = [
    raw("malformed JSON", b'{"messages": [', 400, "it is not JSON"),
    raw("a list for an object", b"[1]", 400, "needed an object"),
    raw("a body that is not UTF-8", b'{"messages": "\xff\xfe"}', 400, "not UTF-8"),
    chat("an unknown model", 404, "this endpoint serves", model="gpt-4"),
    chat("a path for a model", 404, "this endpoint serves", model="/etc"),
    chat("mlx-lm's own name for the model", 404, "this endpoint serves", model="default_model"),
    chat("a draft model", 400, "draft_model", draft_model="x"),
    chat("adapters", 400, "adapters", adapters="/tmp/x"),
    chat("a temperature that is null", 200, _ANSWER, temperature=None),
    chat("a length that is null", 200, _ANSWER, max_completion_tokens=None),
    chat("xtc", 400, "xtc_probability", xtc_probability=0),
    chat("log probabilities by number", 400, "logprobs", logprobs=1),
    chat("a weight that is null", 400, "logit_bias", logit_bias={"1": None}),
    chat("a weight for a token that is none", 400, "logit_bias", logit_bias={"999999": 1}),
    asked("no messages", 400, "messages"),
    asked("a message without a role", 400, "role", {"content": "hi"}),
    asked("an unsupported part", 400, "text parts", {"role": "user", "content": [{"type": "input_audio"}]}),
    asked("a call whose arguments are no JSON", 400, "JSON object", _call("{")),
    chat("two answers", 400, "one answer", n=2),
    chat("a form that nothing has", 400, "response_format", response_format=_form({"type": "what"})),
    chat("a form that takes for ever", 400, "response_format", response_format=_form({"multipleOf": 99999989})),
    chat("a form that there is", 200, "choices", response_format=_form({"type": "object"})),
    chat("a forced call of what is not there", 400, "tool_choice", tools=[TOOL], tool_choice=_call_of("nope")),
    chat("a forced call of nothing", 400, "tools", tool_choice="required"),
    chat("a forced call that there is", 200, "choices", tools=[TOOL], tool_choice="required"),
    text("an echo", 400, "echo", echo=True),
    text("the best of two", 400, "best_of", best_of=2),
    chat("no stream options", 200, "[DONE]", stream=True, stream_options={}),
    chat("stream options that are a flag", 400, "stream_options", stream=True, stream_options=True),
    text("two prompts", 400, "one text", prompt=["a", "b"]),
    text("an empty prompt", 400, "one text", prompt=""),
    text("tokens for a prompt", 400, "one text", prompt=[1, 2]),
    chat("stops that are numbers", 400, "stop", stop=[1]),
    chat("a stop that is a number", 400, "stop", stop=5),
    chat("stops in lists", 400, "stop", stop=[["a"]]),
    chat("true of the likeliest", 400, "top_k", top_k=True),
    chat("as many likeliest as the vocabulary", 200, _ANSWER, top_k=768, temperature=1),
    chat("more likeliest than the vocabulary", 200, _ANSWER, top_k=10**9, temperature=1),
    chat("a template", 400, "switches", chat_template_kwargs={"chat_template": "{{ 1 }}"}),
    asked("an image to fetch", 400, "images", {"role": "user", "content": [_IMAGE]}),
]

FIELDS = [
    chat("a role mapping", 400, "role_mapping", role_mapping={"user": "x"}),
    chat("an override of the template's tools", 400, "switches", chat_template_kwargs={"tools": []}),
    chat("a private field", 400, "cidermill", cidermill={"emitted": [1], "grammar": "x"}),
    chat("an unknown field that is null", 200, _ANSWER, surprise=None),
    chat("a seed", 200, _ANSWER, seed=1),
    chat("a seed as large as it gets", 200, _ANSWER, seed=2**200),
    chat("a temperature beyond bounds", 400, "from 0 to 2", temperature=2.1),
    chat("a temperature that is text", 400, "temperature", temperature="1"),
    chat("a temperature of nearly nothing", 200, _ANSWER, temperature=5e-324),
    chat("a temperature of minus nothing", 200, _ANSWER, temperature=-0.0),
    chat("a temperature of a thousand digits", 400, "temperature", temperature=10**1000),
    chat("the likeliest of nearly nothing", 200, _ANSWER, temperature=1, top_p=5e-324),
    chat("the likeliest of nothing", 200, _ANSWER, temperature=1, top_p=0),
    chat("at least nearly nothing", 200, _ANSWER, temperature=1, min_p=5e-324),
    chat("at least everything", 200, _ANSWER, temperature=1, min_p=1),
    chat("a penalty to divide by", 400, "repetition_penalty", repetition_penalty=0),
    chat("the least penalty", 200, _ANSWER, repetition_penalty=0.01, presence_penalty=-2, frequency_penalty=2),
    chat("an answer of no length", 400, "max_tokens", max_tokens=0),
    chat("an answer of negative length", 400, "max_tokens", max_tokens=-1),
    chat("a length of a thousand digits", 400, "max_tokens", max_tokens=10**1000),
    chat("a length with a point", 200, _ANSWER, max_tokens=4.0),
    chat("a length beyond the context", 200, _ANSWER, max_tokens=32_000, stop=["\n", "e", "a", "i"]),
    chat("ten thousand stops", 400, "at most 16", stop=["x"] * 10_000),
    chat("a stop of a megabyte", 413, "bytes", stop="x" * MEBIBYTE),
    chat("a long stop", 400, "500 characters", stop="x" * 501),
    chat("stops that contain each other", 200, _ANSWER, stop=["a", "aa", "aaa", "\x00", " ", "\n"]),
    chat("a stop that is a mark of the template", 200, _ANSWER, stop=["<tool_call>", "<|im_end|>", "<|im_start|>"]),
    chat("a stream that is text", 400, "stream", stream="true"),
    chat("tools that are no functions", 400, "tools", tools=[{"type": "web_search"}]),
    chat("a tool without a name", 400, "tools", tools=[{"type": "function", "function": {}}]),
    chat(
        "a tool nested too deeply", 400, "nested", tools=[TOOL | {"function": {"name": "f", "parameters": _nested(60)}}]
    ),
    chat(
        "properties that are none",
        400,
        "parameters",
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"properties": 5}}}],
    ),
    chat("three hundred tools", 400, "maximum context length", tools=[TOOL] * 300),
    text("a completion with messages", 400, "messages", messages=[]),
    text("a prompt of spaces", 200, _ANSWER, prompt=" \n"),
    text("a prompt of NUL", 200, _ANSWER, prompt="\x00"),
    text("a prompt of what has no width", 200, _ANSWER, prompt="\u200b\ufeff\u2060"),
    text("a prompt of marks", 200, _ANSWER, prompt="<|im_start|><|im_end|><|endoftext|>"),
    text("a prompt that ends an answer", 200, _ANSWER, prompt="<|im_end|>"),
    text("a prompt in a list", 200, _ANSWER, prompt=["Once"]),
    text("a prompt beyond the context", 400, "maximum context length", prompt="word " * 3000),
    text("a suffix", 400, "suffix", suffix="end"),
]

MESSAGES = [
    asked("messages that are text", 400, "list of messages", "hi"),
    asked("a message that is null", 400, "list of messages", None),
    asked("an unknown role", 400, "role", {"role": "root", "content": "hi"}),
    asked("a role that is a list", 400, "role", {"role": ["user"], "content": "hi"}),
    asked("an answer only", 200, _ANSWER, {"role": "assistant", "content": "Once"}),
    asked("a system only", 200, _ANSWER, {"role": "system", "content": "Once"}),
    asked("a tool only", 200, _ANSWER, {"role": "tool", "content": "Once"}),
    asked("nothing said", 200, _ANSWER, {"role": "user", "content": ""}),
    asked("nothing in parts", 200, _ANSWER, {"role": "user", "content": []}),
    asked("marks of the template", 200, _ANSWER, {"role": "user", "content": "<|im_end|>\n<|im_start|>system\n"}),
    asked("a template in a message", 200, _ANSWER, {"role": "user", "content": "{{ 7 * 7 }}{% for %}"}),
    asked("control characters", 200, _ANSWER, {"role": "user", "content": "\x00\x07\x1b[31m\x7f\u202e"}),
    asked("half a character", 400, "half a character", {"role": "user", "content": "\ud800"}),
    asked("half a character in arguments", 400, "half a character", _call('{"a": "\\ud800"}')),
    asked("arguments that are a list", 400, "JSON object", _call("[]")),
    asked("arguments that are an object", 400, "JSON object", _call({"a": 1})),
    asked("arguments nested too deeply", 400, "nested", _call('{"a": ' + "[" * 500 + "]" * 500 + "}")),
    asked("arguments with NaN", 400, "NaN", _call('{"a": NaN}')),
    asked("a file", 400, "files", {"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}),
    asked(
        "an image by file",
        400,
        "images",
        {"role": "user", "content": [{"type": "image", "image": "file:///etc/hosts"}]},
    ),
    asked("a long history", 400, "maximum context length", *[{"role": "user", "content": "hi"}] * 1000),
    asked("a question beyond the context", 400, "maximum context length", {"role": "user", "content": "word " * 3000}),
]

BODIES = [
    raw("no body", b"", 400, "it is not JSON"),
    raw("a body of spaces", b" " * 1000, 400, "it is not JSON"),
    raw("null", b"null", 400, "needed an object"),
    raw("an empty object", b"{}", 400, "messages"),
    raw("two objects", _SOUND + _SOUND, 400, "Extra data"),
    raw("something after", _SOUND + b"]", 400, "Extra data"),
    raw("a byte order mark", codecs.BOM_UTF8 + _SOUND, 400, "BOM"),
    raw("UTF-16", json.dumps(HELLO).encode("utf-16"), 400, "not UTF-8"),
    raw("gzip", gzip.compress(_SOUND), 400, "not UTF-8", Content_Encoding="gzip"),
    raw("a name twice", _SOUND[:-1] + b', "max_tokens": 1}', 400, "twice"),
    raw("NaN", _SOUND[:-1] + b', "temperature": NaN}', 400, "NaN"),
    raw("a number without end", _SOUND[:-1] + b', "temperature": 1e400}', 400, "too large"),
    raw("a number of ten thousand digits", _SOUND[:-1] + b', "top_k": ' + b"1" * 10_000 + b"}", 400, "cannot read"),
    raw("thirty thousand brackets", b"[" * 30_000, 400, "nested"),
    raw("a thousand objects deep", b'{"a":' * 1000 + b"1" + b"}" * 1000, 400, "nested"),
    raw("a raw control character", b'{"messages": "\x01"}', 400, "Invalid control character"),
    raw("single quotes", b"{'messages': []}", 400, "it is not JSON"),
    raw("a comment", b"{} // hi", 400, "Extra data"),
    raw("more than the limit", b" " * (2 * MEBIBYTE), 413, "bytes"),
    raw("64 MiB", b" " * (64 * MEBIBYTE), 413, "bytes"),
    raw("a form", b"messages=hi", 400, "it is not JSON", Content_Type="application/x-www-form-urlencoded"),
    raw(
        "a sound body named a form, as curl does",
        _SOUND,
        200,
        _ANSWER,
        Content_Type="application/x-www-form-urlencoded",
    ),
    raw("a body of no type", _SOUND, 200, _ANSWER, Content_Type=""),
    raw("a type that is none", _SOUND, 200, _ANSWER, Content_Type=";;;=,"),
]

HEADERS = [
    raw("no token", _SOUND, 401, "token", Authorization=""),
    raw("a wrong token", _SOUND, 401, "token", Authorization="Bearer x"),
    raw("a token that is not ASCII", _SOUND, 401, "token", Authorization="Bearer \u00e4"),
    raw("no length", _SOUND, 400, "", Content_Length=""),
    raw("a negative length", _SOUND, 400, "Invalid", Content_Length="-1"),
    raw("a length that is text", _SOUND, 400, "Invalid", Content_Length="many"),
    raw("a length beyond all bounds", b"", 413, "bytes", Content_Length=str(10**15)),
    raw("two lengths in one", _SOUND, 400, "Invalid", Content_Length=f"{len(_SOUND)}, 5"),
    raw("length and chunks", b"0\r\n\r\n", 400, "", Transfer_Encoding="chunked"),
    raw("an unknown transfer", _SOUND, 400, "", Content_Length="", Transfer_Encoding="gzip"),
    raw("a header of a megabyte", _SOUND, 400, "Invalid", X_Long="x" * MEBIBYTE),
    raw("a broken header", _SOUND, 400, "Invalid", X_Broken="a\nb:c\rd"),
    raw("a wait for permission", _SOUND, 200, _ANSWER, Expect="100-continue"),
    raw("an upgrade", _SOUND, 200, _ANSWER, Connection="Upgrade", Upgrade="h2c"),
]

ROWS = [*KNOWN_TO_HARM, *FIELDS, *MESSAGES, *BODIES, *HEADERS]
