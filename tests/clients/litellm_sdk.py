"""LiteLLM's own client, which other tools are built on: chat, streams, tools, responses and Anthropic's messages."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from tests.clients.door import (
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

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it looks its prices up while it is imported

import litellm

TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


def chat(door: Door) -> None:
    """A chat, whole and in pieces."""
    asked: Any = {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
    whole: Any = litellm.completion(**_at(door), **asked)
    chunks: Any = litellm.completion(**_at(door), **asked, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    expect("chat", whole.choices[0].message.content, ANSWER)
    expect("chat, streamed", "".join(pieces), ANSWER)


def tools(door: Door) -> None:
    """A tool's round trip."""
    asked: list[Any] = [{"role": "user", "content": WISH}]
    wished: Any = litellm.completion(**_at(door), messages=asked, tools=[TOOL], temperature=0)
    calls = wished.choices[0].message.tool_calls or []
    expect("tools, what was called", [json.loads(call.function.arguments) for call in calls], [CITY])
    asked.append(wished.choices[0].message)
    asked.append({"role": "tool", "tool_call_id": calls[0].id, "content": RESULT})
    told: Any = litellm.completion(**_at(door), messages=asked, tools=[TOOL], temperature=0)

    expect("tools, what was made of the result", told.choices[0].message.content, TOLD)


def responses(door: Door) -> None:
    """A response."""
    answer: Any = litellm.responses(**_at(door), input=QUESTION, temperature=0)

    expect("responses", answer.output_text, ANSWER)


def messages(door: Door) -> None:
    """A message of Anthropic's."""
    asked: Any = {"max_tokens": 200, "messages": [{"role": "user", "content": QUESTION}]}
    at: Any = {"model": f"anthropic/{door.name}", "api_base": door.url, "api_key": door.key}
    answer: Any = asyncio.run(litellm.anthropic.messages.acreate(**at, **asked))

    expect("messages", [block.get("text") for block in answer["content"]], [ANSWER])


def _at(door: Door) -> dict[str, Any]:
    return {"model": f"openai/{door.name}", "api_base": f"{door.url}/v1", "api_key": door.key, "timeout": 600}


if __name__ == "__main__":
    converse(chat, tools, responses, messages)
