"""How some weights write, and the pieces of a grammar in llguidance's Lark that follow from it."""

# Tokenizers of transformers carry no types here:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llguidance import LLTokenizer

from serving import guidance

Schema = Mapping[str, Any]

JSON: Final = {
    "whitespace_flexible": False,
    # The two styles that weights are trained on, Python's and the shortest; blanks cannot go on for ever.
    "item_separator": ", ?",
    "key_separator": ": ?",
    # Nothing that was asked for is overlooked.
    "lenient": False,
    "coerce_one_of": False,
}
"""How JSON is written; with flexible whitespace small weights write blanks until their tokens are spent."""


@dataclass(frozen=True)
class Function:
    """A function that may be called."""

    name: str
    parameters: Schema


@dataclass(frozen=True)
class Writing:
    """How some weights write."""

    vocabulary: LLTokenizer
    parser: str | None
    """The name of mlx-lm's parser of their tool calls."""
    template: str
    marks: Mapping[str, int]
    """Texts that are one token, and are told by it alone."""

    @classmethod
    def of(cls, tokenizer: Any, parser: str | None) -> Writing:
        """Of a fast Hugging Face tokenizer; takes a second or more. Raises ValueError for any other."""
        stop, template = tokenizer.eos_token_id, tokenizer.chat_template
        words = guidance.vocabulary(tokenizer, [] if stop is None else [stop])
        return cls(words, parser, template if isinstance(template, str) else "", tokenizer.get_added_vocab())

    def mark(self, text: str) -> str:
        """A mark in Lark."""
        return f"<[{self.marks[text]}]>" if text in self.marks else literal(text)


def tool_parser(tokenizer: Any, infer: Callable[[Any], str | None], default: str | None = None) -> str | None:
    """The name of the parser that mlx-lm's `load` chooses.

    `infer` is its own `_infer_tool_parser`, `default` the `tool_parser_type` of the weights' TOKENIZER_DEFAULTS.
    """
    told: str | None = tokenizer.init_kwargs.get("tool_parser_type", default)
    return infer(tokenizer) if told is None else told


def literal(text: str) -> str:
    """A text in Lark, which quotes as JSON does."""
    return json.dumps(text)


def json_of(schema: Schema) -> str:
    """JSON that a schema allows, in Lark."""
    # In place of a client's: some of llguidance's options let it overlook parts of a schema.
    return f"%json {json.dumps({**schema, 'x-guidance': JSON})}"
