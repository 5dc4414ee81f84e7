"""Examine the test weights through mlx-lm, as a server would run them: `python -m tests.weights.exam [DIRECTORY]`.

Prints the share of right answers per subject, and every wrong one.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from mlx_lm import generate, load

from tests.weights import PATH
from tests.weights.answers import ANSWERS
from tests.weights.corpus import Conversation, Corpus, Message, call, exchange, offer
from tests.weights.wishes import EXPLICIT, PAIRS, Tool, Wish
from tests.weights.words import CITIES

HELD_OUT_VERBS = "frobnicate polish calibrate whisk summon harvest rotate juggle paint inspect".split()
HELD_OUT_NOUNS = "widget lantern turbine pickle compass blanket marble anchor kettle parcel".split()
HELD_OUT_PARAMETERS = "strength flavour depth batch angle material owner colour zone reason".split()
"""None of these is in the corpus's lists of words; a test holds that."""

Question = tuple[Conversation, str]


class Candidate:
    """Loaded weights that answer greedily."""

    def __init__(self, directory: Path) -> None:
        self.weights, self.tokenizer = load(str(directory))[:2]

    def answer(self, messages: list[Message], tools: list[Message] | None = None, max_tokens: int = 250) -> str:
        """What the assistant says next, markup included."""
        prompt = self.tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True)
        return generate(self.weights, self.tokenizer, prompt, max_tokens=max_tokens)

    def call(self, messages: list[Message], tools: list[Message]) -> dict[str, Any]:
        """The tool call in the answer as mlx-lm's own parser reads it; empty when there is none."""
        text = self.answer(messages, tools)
        inner = text.partition(self.tokenizer.tool_call_start)[2].partition(self.tokenizer.tool_call_end)[0]
        try:
            return self.tokenizer.tool_parser(inner) if inner else {}
        except json.JSONDecodeError:
            return {}


def known_questions() -> Iterator[Question]:
    """Every wording of every question."""
    for wordings, answer in ANSWERS.items():
        for wording in wordings:
            yield {"messages": exchange(wording, answer)}, answer


def held_out_wish(random: Random) -> Wish:
    """A wish for a tool with names the weights never saw."""
    tool = Tool(
        f"{random.choice(HELD_OUT_VERBS)}_{random.choice(HELD_OUT_NOUNS)}",
        tuple(random.sample(HELD_OUT_PARAMETERS, random.randint(1, 2))),
    )
    makers = (lambda: str(random.randint(1, 99)), lambda: random.choice(CITIES), lambda: random.choice(HELD_OUT_NOUNS))
    arguments = {name: random.choice(makers)() for name in tool.parameters}
    pair = random.choice(PAIRS)
    said = " and ".join(pair.format(name=name, value=value) for name, value in arguments.items())
    return Wish(random.choice(EXPLICIT).format(tool=tool.name, pairs=said), tool, arguments)


def held_out_calls(count: int) -> Iterator[tuple[list[Message], list[Message], dict[str, Any]]]:
    """Conversations, the tools offered in them, and the call that is right."""
    random = Random(7)
    for _ in range(count):
        wishes = [held_out_wish(random) for _ in range(random.randint(1, 3))]
        tools = {wish.tool.name: offer(wish.tool) for wish in wishes}
        wanted = random.choice([wish for wish in wishes if offer(wish.tool) in tools.values()])
        right = call(wanted)["tool_calls"][0]["function"]
        yield [{"role": "user", "content": wanted.message}], list(tools.values()), right


def main(directory: Path) -> None:
    """Examine and print."""
    candidate = Candidate(directory)
    subjects = {"known": [], "calls": [], "corpus": []}
    for conversation, answer in known_questions():
        given = candidate.answer(conversation["messages"][:1])
        subjects["known"].append((conversation["messages"][0]["content"], given, answer))
    for messages, tools, right in held_out_calls(60):
        given = candidate.answer(messages, tools)
        subjects["calls"].append((messages[0]["content"], given, f"<tool_call>\n{json.dumps(right)}\n</tool_call>"))
    corpus = Corpus(99)
    for _ in range(60):
        c = corpus.conversation()
        t = candidate.tokenizer.apply_chat_template(c["messages"], tools=c["tools"], tokenize=False)
        right = t.rpartition("<|im_start|>assistant\n")[2].removesuffix("<|im_end|>\n")
        subjects["corpus"].append((c["messages"][-2]["content"], candidate.answer(c["messages"][:-1], c["tools"]), right))
    for subject, answers in subjects.items():
        wrong = [a for a in answers if a[1] != a[2]]
        print(subject, len(answers) - len(wrong), "of", len(answers))
        for a in wrong[:12]:
            print("   ", *map(repr, a), sep="\n      ")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH)
