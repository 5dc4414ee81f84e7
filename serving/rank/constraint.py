"""Keeps one answer to a grammar while it is generated, alike on every rank.

mlx-lm 0.32.2 hands a logits processor all tokens so far and the logits of the next one. Every rank draws the same
tokens and so forbids the same ones; nothing is said between them. One more step is computed after the stop token.
Prompt and answer must be whole: mlx-lm's batches see to that, its sequential path leaves out what it had cached, where
it cannot be told that a prompt ends inside a thought.

Weights that think do so freely before the answer begins, whether the prompt has begun the thought or they do. While
they think they can neither stop nor call a tool, which for mlx-lm would end the thought without an answer.

A grammar that llguidance gives up (some token meets its limits) ends the answer there; `failure` tells why, and the
endpoint tells the client in place of an answer that looks whole.
"""

# mlx-lm carries no types:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLTokenizer

from serving import guidance
from serving.errors import RequestRefused
from serving.rank.thought import Thought

Sampler = Callable[[mx.array], mx.array]
Mask = npt.NDArray[np.bool_]

_KEPT: Final = 8
"""Compiled grammars; clients send the same one again and again."""


def processor(tokenizer: Any, grammar: str, emitted: Sequence[int] = ()) -> Constraint:
    """What keeps one answer to the grammar; `emitted` are tokens of the answer that are at the end of the prompt.

    `tokenizer` is mlx-lm's. Raises RequestRefused when the grammar does not compile.
    """
    try:
        return Constraint(tokenizer, _compiled(tokenizer, grammar).deep_copy(), emitted)
    except ValueError as error:
        raise RequestRefused(f"cannot hold the answer to its grammar: {error}. Ask for another form.") from error


@lru_cache(maxsize=1)
def vocabulary(tokenizer: Any) -> LLTokenizer:
    """The vocabulary of mlx-lm's tokenizer; takes a second or more the first time."""
    return guidance.vocabulary(tokenizer._tokenizer, tokenizer.eos_token_ids)


@lru_cache(maxsize=_KEPT)
def _compiled(tokenizer: Any, grammar: str) -> LLMatcher:
    return guidance.matcher(vocabulary(tokenizer), grammar)


class Constraint:
    """A logits processor for one sequence."""

    def __init__(self, tokenizer: Any, matcher: LLMatcher, emitted: Sequence[int]) -> None:
        self.failure: str | None = None
        """Why the grammar was given up."""
        self._tokenizer = tokenizer
        self._matcher = matcher
        self._emitted = emitted
        self._stops = sorted(tokenizer.eos_token_ids)
        self._size = vocabulary(tokenizer).vocab_size
        self._thought: Thought | None = None
        self._ended = False
        self._drawn: mx.array | None = None

    def watching(self, sampler: Sampler) -> Sampler:
        """The sampler of this sequence, watched.

        What it draws is at hand as soon as it is computed. Read from the tokens, it waits behind the next step's work.
        """

        def watched(logprobs: mx.array) -> mx.array:
            self._drawn = sampler(logprobs)
            return self._drawn

        return watched

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """The logits with those of all tokens that cannot come next at minus infinity."""
        if self._drawn is not None:
            mx.async_eval(logits)
        if self._thought is None:
            self._thought = self._begin(tokens)
        else:
            newest: Any = tokens[-1] if self._drawn is None else self._drawn
            self._take(self._thought, newest.item())
        if self._ended:
            return logits
        mask: Any = _widened(self._allowed(self._thought), logits.shape[-1])
        return mx.where(mx.array(mask), logits, -mx.inf)

    def _begin(self, tokens: mx.array) -> Thought:
        prompt: Any = tokens[: tokens.size - len(self._emitted)].tolist() if self._tokenizer.has_thinking else []
        thought = Thought.after(prompt, self._tokenizer)
        for token in self._emitted:
            self._take(thought, token)
        return thought

    def _take(self, thought: Thought, token: int) -> None:
        for said in thought.take(token):
            if said in self._stops:
                self._ended = True
            elif self.failure is None and not self._matcher.consume_token(said):
                self._give_up()

    def _allowed(self, thought: Thought) -> Mask:
        if thought.goes_on:
            return ~self._only(*self._stops, *thought.forbidden)
        if thought.due is not None and not thought.may_be_left:
            return self._only(thought.due)
        mask = self._by_grammar()
        if thought.due is not None:
            mask[thought.due] = True
        return mask

    def _by_grammar(self) -> Mask:
        if self.failure is None:
            mask = _bits(self._matcher.compute_bitmask())[: self._size]
            if not self._matcher.is_error() and mask.any():
                return mask
            self._give_up()
        return self._only(*self._stops)

    def _give_up(self) -> None:
        self.failure = self._matcher.get_error() or "no token can come next"
        logging.warning("An answer ends early, its grammar was given up: %s", self.failure)

    def _only(self, *tokens: int) -> Mask:
        mask = np.zeros(self._size, np.bool_)
        mask[list(tokens)] = True
        return mask


def _bits(words: bytes) -> Mask:
    return np.unpackbits(np.frombuffer(words, np.uint8), bitorder="little").view(np.bool_)


def _widened(mask: Mask, width: int) -> Mask:
    """As wide as the logits: weights are often padded to more tokens than there are."""
    return mask[:width] if mask.size >= width else np.pad(mask, (0, width - mask.size))
