"""Grammars without a network: what the test weights' tokenizer could write under one."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from mlx_lm import tokenizer_utils

from serving import guidance
from serving.endpoint.writing import Writing, tool_parser
from tests.weights import PATH


@lru_cache(maxsize=1)
def writing() -> Writing:
    """How the test weights write."""
    tokenizer = tokenizer_utils.load(Path(PATH))._tokenizer
    return Writing.of(tokenizer, tool_parser(tokenizer, tokenizer_utils._infer_tool_parser))


def like(parser: str | None, template: str = "") -> Writing:
    """How they would write in another tool format; its marks are spelled out where they have no token for them."""
    return replace(writing(), parser=parser, template=template)


def allows(grammar: str, text: str) -> bool:
    """Whether a text is a whole answer under a grammar."""
    matcher = guidance.matcher(writing().vocabulary, grammar)
    tokens = writing().vocabulary.tokenize_str(text, parse_special=True)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def babble(grammar: str, seed: int, most: int = 2000) -> str:
    """An answer of tokens drawn at random from those the grammar allows."""
    words, random, said = writing().vocabulary, Random(seed), []  # noqa: S311 - nothing secret
    matcher = guidance.matcher(words, grammar)
    while not matcher.is_stopped():
        mask = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
        token = int(random.choice(np.flatnonzero(mask)))
        if token in words.eos_tokens:
            break
        matcher.consume_token(token)
        said.append(token)
        assert len(said) < most, f"no end of {words.decode_str(said)[-200:]}"
    assert not matcher.is_error(), matcher.get_error()
    return words.decode_str(said)
