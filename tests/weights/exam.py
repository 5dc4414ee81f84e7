"""Examine the test weights through mlx-lm, greedily: `uv run --group node python -m tests.weights.exam [DIRECTORY]`.

Prints the share of right answers per subject, and every wrong one. Takes a minute or two.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from mlx_lm import generate, load

from tests.weights import PATH
from tests.weights.answers import ANSWERS
from tests.weights.corpus import Conversation, Corpus, Message, call, exchange, offer
from tests.weights.wishes import EXPLICIT, PAIRS, Tool, Wish
from tests.weights.words import CITIES

HELD_OUT_VERBS = ("frobnicate", "polish", "calibrate", "whisk", "summon", "harvest", "rotate", "juggle", "inspect")
HELD_OUT_NOUNS = (
    "widget",
    "lantern",
    "turbine",
    "pickle",
    "compass",
    "blanket",
    "marble",
    "anchor",
    "kettle",
    "parcel",
)
HELD_OUT_PARAMETERS = (
    "strength",
    "flavour",
    "depth",
    "batch",
    "angle",
    "material",
    "owner",
    "colour",
    "zone",
    "reason",
)
"""No held-out word is in the corpus's word lists; a test holds that."""

QUESTIONS = 60
"""How many conversations a subject has that is not a fixed list."""


class Candidate:
    """Loaded weights that answer greedily."""

    def __init__(self, directory: Path) -> None:
        self.weights, self.tokenizer = load(str(directory))[:2]

    def answer(self, messages: list[Message], tools: list[Message] | None = None) -> str:
        """What the assistant says next, markup included."""
        prompt = self.tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True)
        return generate(self.weights, self.tokenizer, prompt, max_tokens=250)

    def call(self, messages: list[Message], tools: list[Message]) -> dict[str, Any]:
        """The tool call in the answer, as mlx-lm's own parser reads it."""
        text = self.answer(messages, tools)
        inner = text.partition(self.tokenizer.tool_call_start)[2].partition(self.tokenizer.tool_call_end)[0]
        return self.tokenizer.tool_parser(inner)


class Verdict(NamedTuple):
    """One question with the answer given and the right one."""

    question: str
    given: str
    right: str


def examined(candidate: Candidate, conversations: Iterator[Conversation]) -> Iterator[Verdict]:
    """Take the last message of each conversation away and let the candidate say it."""
    for conversation in conversations:
        *asked, last = conversation["messages"]
        whole = candidate.tokenizer.apply_chat_template([last], tokenize=False)
        right = whole.removeprefix("<|im_start|>assistant\n").removesuffix("<|im_end|>\n")
        yield Verdict(asked[-1]["content"], candidate.answer(asked, conversation["tools"]), right)


def known_questions() -> Iterator[Conversation]:
    """Every wording of every question."""
    for wordings, answer in ANSWERS.items():
        for wording in wordings:
            yield {"messages": exchange(wording, answer), "tools": []}


def held_out_calls() -> Iterator[Conversation]:
    """Wishes for tools whose names and parameters the weights never saw, among one to three of them."""
    random = Random(7)  # noqa: S311 -- nothing secret is drawn
    for _ in range(QUESTIONS):
        wishes = {wish.tool.name: wish for wish in (held_out_wish(random) for _ in range(random.randint(1, 3)))}
        wanted = random.choice(list(wishes.values()))
        messages = [{"role": "user", "content": wanted.message}, call(wanted)]
        yield {"messages": messages, "tools": [offer(wish.tool) for wish in wishes.values()]}


def held_out_wish(random: Random) -> Wish:
    """One such wish: `Use frobnicate_widget with depth 7.`"""
    name = f"{random.choice(HELD_OUT_VERBS)}_{random.choice(HELD_OUT_NOUNS)}"
    tool = Tool(name, tuple(random.sample(HELD_OUT_PARAMETERS, random.randint(1, 2))))
    values = (str(random.randint(1, 99)), random.choice(CITIES), random.choice(HELD_OUT_NOUNS))
    arguments = dict(zip(tool.parameters, random.sample(values, len(tool.parameters)), strict=True))
    pair = random.choice(PAIRS)
    said = " and ".join(pair.format(name=name, value=value) for name, value in arguments.items())
    return Wish(random.choice(EXPLICIT).format(tool=tool.name, pairs=said), tool, arguments)


def fresh_conversations() -> Iterator[Conversation]:
    """Conversations of every kind that training did not draw."""
    corpus = Corpus(99)
    return (corpus.conversation() for _ in range(QUESTIONS))


def main(directory: Path) -> None:
    """Examine and print."""
    candidate = Candidate(directory)
    for subject in (known_questions, held_out_calls, fresh_conversations):
        verdicts = list(examined(candidate, subject()))
        wrong = [verdict for verdict in verdicts if verdict.given != verdict.right]
        print(f"{subject.__name__}: {len(verdicts) - len(wrong)} of {len(verdicts)}", flush=True)
        for verdict in wrong:
            print(json.dumps(verdict._asdict(), ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH)
