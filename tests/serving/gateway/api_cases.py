"""The API table: what weights say and how each API tells it, what cannot be asked and how each API refuses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.serving.speaking import USAGE, chat, text

APIS = ("chat", "text", "messages", "responses")
CHATTING = ("chat", "messages", "responses")
PATHS = {
    "chat": "/v1/chat/completions",
    "text": "/v1/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
DESCRIBED = {"name": "get_weather", "description": "The weather."}
TOOL: dict[str, dict[str, Any]] = {
    "chat": {"type": "function", "function": {**DESCRIBED, "parameters": SCHEMA}},
    "messages": {**DESCRIBED, "input_schema": SCHEMA},
    "responses": {"type": "function", **DESCRIBED, "parameters": SCHEMA, "strict": False},
}


def ask(api: str, question: Any = "Hello", name: str = "cider-1", **more: Any) -> dict[str, Any]:
    """A request of an API; what is None in `more` is left out of it."""
    message = [{"role": "user", "content": question}]
    needed: dict[str, Any] = {
        "chat": {"messages": message},
        "text": {"prompt": question},
        "messages": {"messages": message, "max_tokens": 100},
        "responses": {"input": question},
    }[api]
    return {key: value for key, value in {"model": name, **needed, **more}.items() if value is not None}


@dataclass(frozen=True)
class Saying:
    """What weights say in chunks, and what is to be read of it."""

    chunks: list[dict[str, Any]]
    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = "stop"
    needs_tool: bool = False


def call(index: int, arguments: str) -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": arguments}
    return {"index": index, "id": f"call_{index}", "type": "function", "function": function}


PARIS, ROME = '{"city": "Paris"}', '{"city": "Røme \\"à\\" 日本"}'
CALL = ("get_weather", {"city": "Paris"})
SAYINGS = {
    "words": Saying([chat(content="He"), chat(content="llo"), chat("stop"), USAGE], "Hello"),
    "one word with its end": Saying([chat("stop", content="Hello"), USAGE], "Hello"),
    "many pieces": Saying(
        [*(chat(content=f"{n} ") for n in range(40)), chat("stop"), USAGE], "".join(f"{n} " for n in range(40))
    ),
    "cut by its length": Saying([chat(content="He"), chat("length"), USAGE], "He", finish="length"),
    "every script": Saying([chat(content="größe 日本 🍎\n\n\t"), chat("stop"), USAGE], "größe 日本 🍎\n\n\t"),
    "what looks like an event": Saying(
        [chat(content="data: [DONE]\n\nevent: x"), chat("stop"), USAGE], "data: [DONE]\n\nevent: x"
    ),
    "a thought": Saying(
        [chat(reasoning="Hm."), chat(reasoning=" So."), chat(content="Hello"), chat("stop"), USAGE], "Hello", "Hm. So."
    ),
    "a call": Saying(
        [chat(tool_calls=[call(0, PARIS)]), chat("tool_calls"), USAGE],
        calls=[CALL],
        finish="tool_calls",
        needs_tool=True,
    ),
    "words and a call": Saying(
        [chat(content="Let me see."), chat(tool_calls=[call(0, PARIS)]), chat("tool_calls"), USAGE],
        "Let me see.",
        calls=[CALL],
        finish="tool_calls",
        needs_tool=True,
    ),
    "a thought and a call": Saying(
        [chat(reasoning="Hm."), chat(tool_calls=[call(0, PARIS)]), chat("tool_calls"), USAGE],
        thought="Hm.",
        calls=[CALL],
        finish="tool_calls",
        needs_tool=True,
    ),
    "two calls at once": Saying(
        [chat(tool_calls=[call(0, PARIS)]), chat(tool_calls=[call(1, ROME)]), chat("tool_calls"), USAGE],
        calls=[CALL, ("get_weather", {"city": 'Røme "à" 日本'})],
        finish="tool_calls",
        needs_tool=True,
    ),
    "two calls in one chunk": Saying(
        [chat("tool_calls", tool_calls=[call(0, PARIS), call(1, PARIS)]), USAGE],
        calls=[CALL, CALL],
        finish="tool_calls",
        needs_tool=True,
    ),
}
COMPLETIONS = {
    "words": Saying([text("upon"), text(" a time"), text("", "stop"), USAGE], "upon a time"),
    "one word with its end": Saying([text("upon", "stop"), USAGE], "upon"),
    "cut by its length": Saying([text("upon", "length"), USAGE], "upon", finish="length"),
    "every script": Saying([text("größe 日本 🍎\n\n"), text("", "stop"), USAGE], "größe 日本 🍎\n\n"),
    "what looks like an event": Saying([text("data: [DONE]\n\n"), text("", "stop"), USAGE], "data: [DONE]\n\n"),
}
ANSWERS = [(api, name, saying) for api in APIS for name, saying in (COMPLETIONS if api == "text" else SAYINGS).items()]
FINISH = {
    "chat": {"stop": "stop", "length": "length", "tool_calls": "tool_calls"},
    "text": {"stop": "stop", "length": "length"},
    "messages": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"},
    "responses": {"stop": "completed", "length": "incomplete", "tool_calls": "completed"},
}


@dataclass(frozen=True)
class Refused:
    """A request that is refused."""

    api: str
    what: str
    body: dict[str, Any]
    words: str
    status: int = 400
    code: str | None = None
    """OpenAI's; None: not looked at."""


LONG = "word " * 3000
IMAGE = {
    "chat": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
    "messages": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}],
    "responses": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGk="}]}],
}
REFUSED = [
    *(
        Refused(
            api, "too long", ask(api, LONG), "maximum context length is 2048 tokens", code="context_length_exceeded"
        )
        for api in APIS
    ),
    *(Refused(api, "an unknown name", ask(api, name="nope"), '"nope"', 404, "model_not_found") for api in APIS),
    *(Refused(api, "no name", ask(api, name=None), "", 404 if api in ("chat", "text") else 400) for api in APIS),  # type: ignore[arg-type]
    *(Refused(api, "an image", ask(api, IMAGE[api]), "images, audio and files are not taken") for api in CHATTING),
    *(Refused(api, "a number for a flag", ask(api, stream=5), "stream") for api in APIS),
    *(Refused(api, "heat beyond bounds", ask(api, temperature=7), "temperature") for api in APIS),
    Refused("chat", "no messages", {"model": "cider-1"}, "messages"),
    Refused("chat", "messages that are none", {"model": "cider-1", "messages": "Hello"}, "messages"),
    Refused("chat", "an unknown field", ask("chat", colour="red"), "colour"),
    Refused("chat", "probabilities", ask("chat", logprobs=True), "logprobs"),
    Refused("chat", "two answers", ask("chat", n=2), "'n'"),
    Refused("chat", "a backend of the client's", ask("chat", api_base="http://127.0.0.1:1"), "api_base"),
    Refused("chat", "an answer of the client's", ask("chat", mock_response="x"), "mock_response"),
    Refused("chat", "a tool that is none", ask("chat", tools=[{"type": "web"}]), "tools"),
    Refused(
        "chat",
        "an unknown tool",
        ask("chat", tools=[TOOL["chat"]], tool_choice={"type": "function", "function": {"name": "x"}}),
        "not in tools",
    ),
    Refused("text", "no prompt", {"model": "cider-1"}, "prompt"),
    Refused("text", "a list of prompts", ask("text", ["a", "b"]), "prompt"),
    Refused("text", "an empty prompt", ask("text", ""), "prompt"),
    Refused("text", "an echo", ask("text", echo=True), "echo"),
    Refused("text", "the best of two", ask("text", best_of=2), "best_of"),
    Refused("messages", "no length", ask("messages", max_tokens=None), "max_tokens"),
    Refused("messages", "no length at all", ask("messages", max_tokens=0), "max_tokens"),
    Refused("messages", "no messages", ask("messages", messages=[]), "messages"),
    Refused("messages", "messages that are none", ask("messages", messages="Hello"), "messages"),
    Refused("messages", "a role of nobody's", ask("messages", messages=[{"role": "boss", "content": "x"}]), "role"),
    Refused(
        "messages",
        "a tool that runs there",
        ask("messages", tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        "web_search_20250305",
    ),
    Refused("messages", "a tool without a schema", ask("messages", tools=[{"name": "x"}]), "input_schema"),
    Refused(
        "messages",
        "another's servers",
        ask("messages", mcp_servers=[{"type": "url", "url": "http://x", "name": "x"}]),
        "mcp_servers",
    ),
    Refused("messages", "a document", ask("messages", [{"type": "document", "source": {}}]), "messages.0.content"),
    Refused("responses", "no input", {"model": "cider-1"}, "input"),
    Refused("responses", "an input that is none", ask("responses", 5), "input"),
    Refused(
        "responses", "an earlier response", ask("responses", previous_response_id="resp_1"), "previous_response_id"
    ),
    Refused("responses", "work for later", ask("responses", background=True), "background"),
    Refused("responses", "a conversation", ask("responses", conversation="conv_1"), "conversation"),
    Refused("responses", "a stored item", ask("responses", [{"type": "item_reference", "id": "x"}]), "input.0"),
    Refused(
        "responses",
        "a tool that runs there",
        ask("responses", tools=[{"type": "web_search"}], tool_choice={"type": "web_search"}),
        "web_search",
    ),
]


@dataclass(frozen=True)
class Passed:
    """A request that passes, and what of it the endpoint's weights are asked."""

    api: str
    what: str
    body: dict[str, Any]
    asked: dict[str, Any]
    """Fields of the body that mlx-lm gets."""
    left_out: str | None = None


SYSTEM = {"role": "system", "content": "Be kind."}
HELLO = {"role": "user", "content": "Hello"}
WEATHER = {"type": "function", "function": {**DESCRIBED, "parameters": SCHEMA}}
ASSISTANT = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": PARIS}}],
}
ROUND = [HELLO, ASSISTANT, {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
USE = {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Paris"}}


def result(content: Any = "sunny", **more: Any) -> list[dict[str, Any]]:
    told = {"type": "tool_result", "tool_use_id": "c1", "content": content, **more}
    return [HELLO, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [told]}]


PASSED = [
    Passed("chat", "a system's word", ask("chat", messages=[SYSTEM, HELLO]), {"messages": [SYSTEM, HELLO]}),
    Passed(
        "chat",
        "a developer's word",
        ask("chat", messages=[{**SYSTEM, "role": "developer"}, HELLO]),
        {"messages": [SYSTEM, HELLO]},
    ),
    Passed("chat", "stops", ask("chat", stop=["a", "b"]), {"stop": ["a", "b"]}),
    Passed("chat", "more than there is room for", ask("chat", max_completion_tokens=32_000), {"max_tokens": 2039}),
    Passed(
        "chat",
        "what nobody needs",
        ask("chat", user="u", store=True, metadata={"a": "b"}, seed=5),
        {"messages": [HELLO]},
    ),
    Passed("chat", "a tool", ask("chat", tools=[TOOL["chat"]]), {"tools": [WEATHER]}),
    Passed("chat", "no tool now", ask("chat", tools=[TOOL["chat"]], tool_choice="none"), {"messages": [HELLO]}),
    Passed("chat", "a tool's result", ask("chat", messages=ROUND, tools=[TOOL["chat"]]), {"messages": ROUND}),
    Passed(
        "chat",
        "sampling",
        ask("chat", temperature=0.5, top_p=0.9, top_k=5, min_p=0.1),
        {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1},
    ),
    Passed(
        "text", "stops", ask("text", "Once", stop="x", max_tokens=7), {"stop": ["x"], "max_tokens": 7, "prompt": "Once"}
    ),
    Passed("text", "sampling", ask("text", "Once", temperature=0.5, top_p=0.9), {"temperature": 0.5, "top_p": 0.9}),
    Passed("messages", "a system's word", ask("messages", system="Be kind."), {"messages": [SYSTEM, HELLO]}),
    Passed(
        "messages",
        "a system's word to be cached",
        ask("messages", system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]),
        {"messages": [SYSTEM, HELLO]},
    ),
    Passed("messages", "stops", ask("messages", stop_sequences=["a", "b"]), {"stop": ["a", "b"]}),
    Passed("messages", "more than there is room for", ask("messages", max_tokens=32_000), {"max_tokens": 2039}),
    Passed(
        "messages",
        "what an agent sends for its own server",
        ask(
            "messages",
            thinking={"type": "enabled", "budget_tokens": 1024},
            context_management={"edits": []},
            output_config={"effort": "high"},
            metadata={"user_id": "u"},
        ),
        {"messages": [HELLO]},
        "context_management, thinking, output_config.effort",
    ),
    Passed("messages", "a tool", ask("messages", tools=[TOOL["messages"]]), {"tools": [WEATHER]}),
    Passed(
        "messages", "a tool's result", ask("messages", messages=result(), tools=[TOOL["messages"]]), {"messages": ROUND}
    ),
    Passed(
        "messages",
        "a tool's error",
        ask("messages", messages=result("boom", is_error=True), tools=[TOOL["messages"]]),
        {"messages": [HELLO, ASSISTANT, {**ROUND[2], "content": "Error: boom"}]},
    ),
    Passed(
        "messages",
        "sampling",
        ask("messages", temperature=0.5, top_p=0.9, top_k=5),
        {"temperature": 0.5, "top_p": 0.9, "top_k": 5},
    ),
    Passed("responses", "instructions", ask("responses", instructions="Be kind."), {"messages": [SYSTEM, HELLO]}),
    Passed(
        "responses",
        "a list of items",
        ask("responses", [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}]),
        {"messages": [HELLO]},
    ),
    Passed("responses", "a length", ask("responses", max_output_tokens=7), {"max_tokens": 7}),
    Passed("responses", "a tool", ask("responses", tools=[TOOL["responses"]]), {"tools": [WEATHER]}),
    Passed(
        "responses",
        "a tool's result",
        ask(
            "responses",
            [
                HELLO,
                {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": PARIS},
                {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
            ],
            tools=[TOOL["responses"]],
        ),
        {"messages": ROUND},
    ),
    Passed(
        "responses",
        "tools that run there",
        ask("responses", tools=[{"type": "web_search"}, {"type": "local_shell"}, TOOL["responses"]]),
        {"tools": [WEATHER]},
        "tools.web_search, tools.local_shell",
    ),
    Passed(
        "responses",
        "what an agent sends for its own server",
        ask(
            "responses",
            include=["reasoning.encrypted_content"],
            store=False,
            prompt_cache_key="k",
            reasoning={"effort": "high"},
            text={"verbosity": "low"},
        ),
        {"messages": [HELLO]},
        "reasoning, text.verbosity",
    ),
]
