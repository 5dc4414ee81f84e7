"""What the clients of a soak ask: long and short, streamed or not, chats and texts, tools, poison, and leaving early.

Drawn by a seed, so that a run can be had again. Everything that is answered is greedy and has one right answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

Expected = Literal["answer", "refusal", "nothing"]

CHATS = ("Count to thirty.", "Tell me a story.", "Count to five.", "What can you do?", "Ping", "What is a Mac?")
TEXTS = ("Once upon a time,", "The quick brown fox")
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITIES = ("Paris", "Rome")
POISON: tuple[Mapping[str, Any], ...] = (
    {"stop": 5},
    {"stop": [1]},
    {"messages": []},
    {"messages": "hello"},
    {"model": "another"},
    {"top_k": True},
    {"temperature": "hot"},
    {"logit_bias": {"999999": 1}},
    {"max_tokens": -1},
    {"n": 7},
    {"draft_model": "x"},
)
_SHARES = {"chat": 10, "text": 3, "tool": 2, "leaving": 3, "poison": 2}


@dataclass(frozen=True)
class Wish:
    """One request, and what is to come of it."""

    path: str
    body: dict[str, Any] = field(compare=False)
    question: str
    """What names its right answer."""
    expected: Expected = "answer"
    leaves_after: int | None = None
    """Pieces after which the client goes."""


def all_questions() -> list[Wish]:
    """Every wish that has a right answer, once."""
    return [*map(_chat, CHATS), *map(_text, TEXTS), *map(_tool, CITIES)]


def draw(random: Random) -> Wish:
    """The next wish."""
    kind = random.choices(list(_SHARES), list(_SHARES.values()))[0]
    if kind == "poison":
        wish = _chat("Ping")
        return Wish(wish.path, {**wish.body, **random.choice(POISON)}, wish.question, "refusal")
    if kind == "leaving":
        wish = _chat(random.choice(CHATS[:2]))
        return Wish(wish.path, {**wish.body, "stream": True}, wish.question, "nothing", random.randint(0, 20))
    make = {"chat": (_chat, CHATS), "text": (_text, TEXTS), "tool": (_tool, CITIES)}[kind]
    wish = make[0](random.choice(make[1]))
    return Wish(wish.path, {**wish.body, "stream": random.random() < 0.6}, wish.question)


def _chat(question: str) -> Wish:
    asked = {"model": "cider-1", "messages": [{"role": "user", "content": question}], "temperature": 0}
    return Wish("/chat/completions", {**asked, "max_tokens": 400}, question)


def _text(prompt: str) -> Wish:
    asked = {"model": "cider-1", "prompt": prompt, "temperature": 0, "max_tokens": 24}
    return Wish("/completions", asked, prompt)


def _tool(city: str) -> Wish:
    wish = _chat(f"What is the weather in {city}?")
    return Wish(wish.path, {**wish.body, "tools": [TOOL]}, wish.question)
