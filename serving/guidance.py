"""llguidance as both sides use it: the endpoint, which refuses what does not compile, and the ranks, which keep to it.

Both make their vocabulary of the same Hugging Face tokenizer and compile within the same limits, so that what passed
the endpoint compiles on every rank. The limits count work, not seconds: all ranks run into them at the same token.
llguidance 1.9.1 does not raise for a bad grammar or a token that does not fit; its matcher ends in an error and stays
there.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import Any, Final

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

LIMITS: Final = LLParserLimits(max_grammar_size=10_000, max_lexer_states=25_000, verbose_errors=False)
"""The ranks' loop waits while a grammar compiles, and a lexer state takes 2 KB. 800 optional properties are within."""


def vocabulary(tokenizer: Any, stop_tokens: Collection[int]) -> LLTokenizer:
    """The tokens of a fast Hugging Face tokenizer as bytes; takes a second or more for a large one.

    Any of the stop tokens ends an answer. Raises ValueError for a tokenizer that is not fast.
    """
    of_hugging_face: Any = importlib.import_module("llguidance.hf")  # imports transformers, which takes seconds
    return of_hugging_face.from_tokenizer(tokenizer, eos_token=sorted(stop_tokens))


def matcher(words: LLTokenizer, grammar: str) -> LLMatcher:
    """A grammar, compiled, at its beginning. Raises ValueError with llguidance's own words when it cannot be."""
    compiled = LLMatcher(words, grammar, log_level=0, limits=LIMITS)
    if not compiled.is_error():
        compiled.compute_bitmask()  # some limits are met at the first token, not before
    if compiled.is_error():
        raise ValueError(compiled.get_error())
    return compiled
