"""LangChain with langchain-openai: a chain, a stream, a structured answer and a tool, over chat and over responses."""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.clients.door import ANSWER, CITY, QUESTION, RESULT, TOLD, WISH, Door, converse, expect


class Weather(BaseModel):
    """The weather."""

    sky: Literal["clear", "grey"]


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return RESULT if city == CITY["city"] else "unknown"


def client(door: Door, **settings: Any) -> ChatOpenAI:
    """As its documentation makes it."""
    told: Any = {"model": door.name, "base_url": f"{door.url}/v1", "api_key": door.key, "temperature": 0}
    return ChatOpenAI(**told, timeout=600, **settings)


def chain(door: Door) -> None:
    """A prompt and a chat, invoked and streamed."""
    linked = ChatPromptTemplate.from_messages([("user", "{question}")]) | client(door)
    whole = linked.invoke({"question": QUESTION})
    pieces = [chunk.text for chunk in linked.stream({"question": QUESTION})]

    expect("chain", whole.text, ANSWER)
    expect("chain, streamed", "".join(pieces), ANSWER)
    expect("chain, whether it came in pieces", len([piece for piece in pieces if piece]) > 1, True)


def structured(door: Door) -> None:
    """An answer that is held to a form."""
    answer = client(door).with_structured_output(Weather).invoke(WISH)

    expect("structured", type(answer), Weather)


def tools(door: Door) -> None:
    """A tool's round trip, over chat completions and over responses."""
    for over_responses in (False, True):
        bound = client(door, use_responses_api=over_responses).bind_tools([get_weather])
        asked: list[Any] = [HumanMessage(WISH)]
        wished = bound.invoke(asked)
        expect(
            "tools, what was called",
            [(call["name"], call["args"]) for call in wished.tool_calls],
            [("get_weather", CITY)],
        )
        results = [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in wished.tool_calls]

        expect("tools, what was made of the result", bound.invoke([*asked, wished, *results]).text, TOLD)


if __name__ == "__main__":
    converse(chain, structured, tools)
