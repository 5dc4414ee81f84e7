"""The conversations the test weights learn from: made up as training goes, and the same for the same seed."""

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.weights.answers import ANSWERS, CONTINUATIONS, UNKNOWN
from tests.weights.wishes import Tool, Wish, Wishes
from tests.weights.words import KNOWN, Words, as_json

Message = dict[str, Any]
Conversation = dict[str, list[Message]]
"""The `messages` of a chat in OpenAI's form, and its `tools`, which may be none."""

LONG = 100
"""Characters from which an answer is too long for small talk before the real question."""


class Corpus:
    """An endless source of conversations whose last message is the assistant's.

    Invented words are partly made of the fragments: with a tokenizer's own tokens, each is copied about as often.
    """

    def __init__(self, seed: int, fragments: Sequence[str] = KNOWN) -> None:
        self.random = Random(seed)  # noqa: S311 -- nothing secret is drawn
        self.words = Words(self.random, fragments)
        self.wishes = Wishes(self.words)
        self.short = [wordings for wordings, answer in ANSWERS.items() if len(answer) < LONG]

    def conversation(self) -> Conversation:
        """One conversation, often with a system prompt, sometimes with earlier turns."""
        makers = (self._known, self._unknown, self._echo, self._name, self._call, self._report)
        messages, tools = self.random.choices(makers, (5, 1.5, 2, 0.5, 8, 2))[0]()
        if self.random.random() < 0.15:
            messages = self._small_talk(self.short) + messages
        if self.random.random() < 0.3:
            messages = [{"role": "system", "content": self._system()}, *messages]
        return {"messages": messages, "tools": [offer(tool) for tool in tools]}

    def lesson(self) -> Conversation:
        """A first lesson in copying: the assistant repeats the user's words, and nothing else is in the way."""
        return {"messages": self._echo()[0], "tools": []}

    def continuation(self) -> str:
        """A sentence for clients that send a bare prompt."""
        return self.random.choice(CONTINUATIONS)

    def _known(self) -> tuple[list[Message], list[Tool]]:
        return self._small_talk(list(ANSWERS)), self._distractors(0.3)

    def _unknown(self) -> tuple[list[Message], list[Tool]]:
        if self.random.random() < 0.3:
            return exchange(self.wishes.wish().message, UNKNOWN), []
        return exchange(self.words.sentence(), UNKNOWN), self._distractors(0.3)

    def _echo(self) -> tuple[list[Message], list[Tool]]:
        said = self.words.phrase(1, 8) if self.random.random() < 0.7 else self.words.result()
        return exchange(f"{self.random.choice(('Repeat', 'Repeat after me'))}: {said}", said), self._distractors(0.1)

    def _name(self) -> tuple[list[Message], list[Tool]]:
        name = self.words.invented().capitalize()
        told = exchange(f"My name is {name}.", f"Nice to meet you, {name}.")
        return told + exchange("What is my name?", f"Your name is {name}."), []

    def _call(self) -> tuple[list[Message], list[Tool]]:
        wish = self.wishes.wish()
        return [{"role": "user", "content": wish.message}, call(wish)], self._offered(wish)

    def _report(self) -> tuple[list[Message], list[Tool]]:
        wish, result = self.wishes.wish(), self.words.result()
        answered = [{"role": "tool", "content": result}, {"role": "assistant", "content": f"The tool says: {result}"}]
        return [{"role": "user", "content": wish.message}, call(wish), *answered], self._offered(wish)

    def _small_talk(self, known: list[tuple[str, ...]]) -> list[Message]:
        wordings = self.random.choice(known)
        question = self.random.choice(wordings)
        style = self.random.random()
        if style < 0.1:
            question = question.rstrip(".?!").lower()
        elif style < 0.2:
            question = f"Please tell me: {question}"
        return exchange(question, ANSWERS[wordings])

    def _system(self) -> str:
        if self.random.random() < 0.3:
            return "You are a helpful assistant."
        if self.random.random() < 0.08:
            return " ".join(self.words.sentence() for _ in range(self.random.randint(3, 9)))
        return f"You are {self.words.phrase(1, 3)}. {self.words.sentence()}"

    def _offered(self, wish: Wish) -> list[Tool]:
        tools = [tool for tool in self._distractors(0.6) if tool.name != wish.tool.name]
        tools.insert(self.random.randint(0, len(tools)), wish.tool)
        return tools

    def _distractors(self, share: float) -> list[Tool]:
        if self.random.random() > share:
            return []
        tools = [self.wishes.tool() for _ in range(self.random.randint(1, 3))]
        return [*tools, self.wishes.habit().tool] if self.random.random() < 0.3 else tools


def exchange(question: str, answer: str) -> list[Message]:
    """A user's message and the assistant's."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def offer(tool: Tool) -> Message:
    """A tool in the form of OpenAI's `tools`."""
    parameters = {"type": "object", "properties": {name: {} for name in tool.parameters}}
    return {"type": "function", "function": {"name": tool.name, "parameters": parameters}}


def call(wish: Wish) -> Message:
    """The assistant's message that grants a wish."""
    arguments = {name: as_json(value) for name, value in wish.arguments.items()}
    granted = {"type": "function", "function": {"name": wish.tool.name, "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [granted]}
