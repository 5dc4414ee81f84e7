"""OpenAI's own client: models, chat, streams, completions, responses, structured answers and tools."""

from __future__ import annotations

import json
from typing import Any, Literal

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseInputParam
from pydantic import BaseModel, ConfigDict

from tests.clients.door import (
    AGAIN,
    AGAIN_ANSWER,
    ANSWER,
    CITY,
    OPENING,
    PARAMETERS,
    QUESTION,
    RESULT,
    TOLD,
    WISH,
    Door,
    converse,
    expect,
    expect_within,
)

TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}


class Weather(BaseModel):
    """A form for an answer to be held to."""

    model_config = ConfigDict(extra="forbid")
    sky: Literal["clear", "grey"]
    raining: bool


def client(door: Door) -> OpenAI:
    """As its documentation makes it."""
    return OpenAI(base_url=f"{door.url}/v1", api_key=door.key, timeout=600)


def models(door: Door) -> None:
    """The served name is listed."""
    listed = [model.id for model in client(door).models.list()]

    expect_within("models", door.name, " ".join(listed))


def chat(door: Door) -> None:
    """Two turns, of which the second is asked with the first before it."""
    asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
    first = client(door).chat.completions.create(model=door.name, messages=asked, temperature=0)
    asked.append({"role": "assistant", "content": first.choices[0].message.content})
    asked.append({"role": "user", "content": AGAIN})
    second = client(door).chat.completions.create(model=door.name, messages=asked, temperature=0)

    expect("chat, first turn", first.choices[0].message.content, ANSWER)
    expect("chat, second turn", second.choices[0].message.content, AGAIN_ANSWER)
    expect("chat, how it ended", second.choices[0].finish_reason, "stop")


def stream(door: Door) -> None:
    """A chat in pieces, with its usage at the end."""
    pieces, usage = [], None
    for chunk in client(door).chat.completions.create(
        model=door.name,
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ):
        pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        usage = chunk.usage or usage

    expect("stream", "".join(pieces), ANSWER)
    expect("stream, whether it came in pieces", len(pieces) > 1, True)
    expect("stream, whether it told its usage", usage is not None and usage.completion_tokens > 1, True)


def completions(door: Door) -> None:
    """A text that is gone on with, and the same streamed."""
    asked: Any = {"model": door.name, "prompt": OPENING, "max_tokens": 12, "temperature": 0}
    whole = client(door).completions.create(**asked).choices[0].text
    # LiteLLM 1.109.1 leaves the text out of the last chunk, which only says how it ended.
    chunks = [chunk for chunk in client(door).completions.create(**asked, stream=True) if chunk.choices]
    pieces = [chunk.choices[0].text for chunk in chunks]

    expect_within("completions", "mill", whole)
    expect("completions, streamed", "".join(pieces), whole)


def responses(door: Door) -> None:
    """A response, and the same streamed."""
    whole = client(door).responses.create(model=door.name, input=QUESTION, temperature=0)
    pieces, ends = [], []
    for event in client(door).responses.create(model=door.name, input=QUESTION, temperature=0, stream=True):
        if event.type == "response.output_text.delta":
            pieces.append(event.delta)
        if event.type == "response.completed":
            ends.append(event.response.output_text)

    expect("responses", (whole.status, whole.output_text), ("completed", ANSWER))
    expect("responses, streamed", "".join(pieces), ANSWER)
    expect("responses, at the end of the stream", ends, [ANSWER])


def structured(door: Door) -> None:
    """Answers that are held to a form: of a chat and of a response."""
    asked: Any = [{"role": "user", "content": WISH}]
    chatted = client(door).chat.completions.parse(
        model=door.name, messages=asked, response_format=Weather, temperature=0
    )
    responded = client(door).responses.parse(model=door.name, input=asked, text_format=Weather, temperature=0)

    expect("structured chat", type(chatted.choices[0].message.parsed), Weather)
    expect("structured response", type(responded.output_parsed), Weather)


def tools(door: Door) -> None:
    """A call that the weights make by themselves, its result, and what they say of it."""
    asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": WISH}]
    wished = client(door).chat.completions.create(model=door.name, messages=asked, tools=[TOOL], temperature=0)
    called = wished.choices[0].message
    (call,) = called.tool_calls or [None]
    expect("tools, how it ended", wished.choices[0].finish_reason, "tool_calls")
    expect("tools, whether one was called", call is not None and call.type, "function")
    expect("tools, which", (call.function.name, json.loads(call.function.arguments)), ("get_weather", CITY))
    asked.append(called.to_dict())  # pyright: ignore[reportArgumentType]  # what came is what goes back
    asked.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
    told = client(door).chat.completions.create(model=door.name, messages=asked, tools=[TOOL], temperature=0)

    expect("tools, what was made of the result", told.choices[0].message.content, TOLD)


def streamed_and_forced_tools(door: Door) -> None:
    """A call in pieces, and one that is asked for by name, where nothing in the question asks for it."""
    with client(door).chat.completions.stream(
        model=door.name, messages=[{"role": "user", "content": WISH}], tools=[TOOL], temperature=0
    ) as events:
        made = events.get_final_completion().choices[0].message.tool_calls or []
    forced = client(door).chat.completions.create(
        model=door.name,
        messages=[{"role": "user", "content": QUESTION}],
        tools=[TOOL],
        tool_choice=NAMED,
        max_tokens=200,
    )
    names = [call.function.name for call in forced.choices[0].message.tool_calls or []]

    expect("streamed tools", [json.loads(call.function.arguments) for call in made], [CITY])
    expect("forced tool", names, ["get_weather"])


def tools_of_responses(door: Door) -> None:
    """The same round trip with the items of a response."""
    tool: Any = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
    asked: ResponseInputParam = [{"role": "user", "content": WISH}]
    wished = client(door).responses.create(model=door.name, input=asked, tools=[tool], temperature=0)
    calls = [item for item in wished.output if item.type == "function_call"]
    expect("tools of responses", [json.loads(call.arguments) for call in calls], [CITY])
    asked += [call.to_dict() for call in calls]  # pyright: ignore[reportAttributeAccessIssue, reportOperatorIssue]
    asked.append({"type": "function_call_output", "call_id": calls[0].call_id, "output": RESULT})  # pyright: ignore[reportAttributeAccessIssue]
    told = client(door).responses.create(model=door.name, input=asked, tools=[tool], temperature=0)

    expect("tools of responses, what was made of the result", told.output_text, TOLD)


if __name__ == "__main__":
    converse(
        models,
        chat,
        stream,
        completions,
        responses,
        structured,
        tools,
        streamed_and_forced_tools,
        tools_of_responses,
    )
