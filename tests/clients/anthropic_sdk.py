"""Anthropic's own client: messages, streams, tools and counts."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic
from anthropic.types import Message, MessageParam, ToolUseBlock

from tests.clients.door import (
    AGAIN,
    AGAIN_ANSWER,
    ANSWER,
    CITY,
    PARAMETERS,
    QUESTION,
    RESULT,
    TOLD,
    WISH,
    Door,
    converse,
    expect,
)

TOOL: Any = {"name": "get_weather", "description": "The weather.", "input_schema": PARAMETERS}


def client(door: Door) -> Anthropic:
    """As its documentation makes it."""
    return Anthropic(base_url=door.url, api_key=door.key, timeout=600)


def text(message: Message) -> str:
    """What a message says."""
    return "".join(block.text for block in message.content if block.type == "text")


def messages(door: Door) -> None:
    """Two turns, with a system prompt."""
    asked: list[MessageParam] = [{"role": "user", "content": QUESTION}]
    told: Any = {"model": door.name, "max_tokens": 200, "system": "You are a helpful assistant."}
    first = client(door).messages.create(messages=asked, **told)
    asked += [{"role": "assistant", "content": first.content}, {"role": "user", "content": AGAIN}]
    second = client(door).messages.create(messages=asked, **told)

    expect("messages, first turn", text(first), ANSWER)
    expect("messages, second turn", (text(second), second.stop_reason), (AGAIN_ANSWER, "end_turn"))
    expect("messages, whether its usage was told", second.usage.output_tokens > 1, True)


def stream(door: Door) -> None:
    """A message in pieces."""
    asked: list[MessageParam] = [{"role": "user", "content": QUESTION}]
    with client(door).messages.stream(model=door.name, max_tokens=200, messages=asked) as coming:
        pieces = list(coming.text_stream)
        whole = coming.get_final_message()

    expect("stream", "".join(pieces), ANSWER)
    expect("stream, whether it came in pieces", len(pieces) > 1, True)
    expect("stream, at its end", (text(whole), whole.stop_reason), (ANSWER, "end_turn"))


def tools(door: Door) -> None:
    """A call that the weights make by themselves, its result, and what they say of it; streamed and not."""
    for ask in (_whole, _streamed):
        asked: list[MessageParam] = [{"role": "user", "content": WISH}]
        wished = ask(door, asked)
        calls = [block for block in wished.content if isinstance(block, ToolUseBlock)]
        seen = (wished.stop_reason, [(call.name, call.input) for call in calls])
        expect("tools, what was called", seen, ("tool_use", [("get_weather", CITY)]))
        asked.append({"role": "assistant", "content": wished.content})
        result: Any = {"type": "tool_result", "tool_use_id": calls[0].id, "content": RESULT}
        asked.append({"role": "user", "content": [result]})

        expect("tools, what was made of the result", text(ask(door, asked)), TOLD)


def forced_tool(door: Door) -> None:
    """A tool asked for by name, where nothing in the question asks for it."""
    choice: Any = {"type": "tool", "name": "get_weather"}
    asked: list[MessageParam] = [{"role": "user", "content": QUESTION}]
    message = client(door).messages.create(
        model=door.name, max_tokens=200, messages=asked, tools=[TOOL], tool_choice=choice
    )

    expect("forced tool", [block.name for block in message.content if block.type == "tool_use"], ["get_weather"])


def count(door: Door) -> None:
    """A longer conversation has more tokens."""
    asked: list[MessageParam] = [{"role": "user", "content": QUESTION}]
    few = client(door).messages.count_tokens(model=door.name, messages=asked).input_tokens
    many = client(door).messages.count_tokens(model=door.name, messages=asked * 2, tools=[TOOL]).input_tokens

    expect("count, whether more has more", 0 < few < many, True)


def _whole(door: Door, asked: list[MessageParam]) -> Message:
    return client(door).messages.create(model=door.name, max_tokens=200, messages=asked, tools=[TOOL])


def _streamed(door: Door, asked: list[MessageParam]) -> Message:
    with client(door).messages.stream(model=door.name, max_tokens=200, messages=asked, tools=[TOOL]) as coming:
        return coming.get_final_message()


if __name__ == "__main__":
    converse(messages, stream, tools, forced_tool, count)
