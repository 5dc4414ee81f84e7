"""mlx-lm's generator as every rank has it, made to go on with an answer and to keep it to a grammar.

What was said by an earlier attempt becomes the end of the prompt: to the network it is the same text, and greedy
decoding goes on as if nothing had happened, as far as reading many tokens at once rounds like reading them one by one.
mlx-lm 0.32.2 calls _tokenize, _make_state_machine and _make_logits_processors one after the other for each request, on
the one thread that generates; only in the first is an exception told to who asked, in the others it ends the rank. So
a grammar is compiled in the first.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from serving.rank.asked import Asked

_server: Any = importlib.import_module("mlx_lm.server")

Processor = Callable[[Any, Any], Any]
"""Tokens so far and logits to logits."""

Sampler = Callable[[Any], Any]
"""Logarithms of probabilities to a token."""


class Continuing(_server.ResponseGenerator):
    """Does what the private field of a request asks for, alike on all ranks."""

    def __init__(self, provider: Any, cache: Any) -> None:
        self._asked = Asked()
        self._constraint: Any = None
        self._usual = _server._make_logits_processors, _server._make_sampler
        _server._make_logits_processors, _server._make_sampler = self._processors, self._sampler
        super().__init__(provider, cache)  # starts the thread

    def _tokenize(self, tokenizer: Any, request: Any, args: Any) -> tuple[Any, ...]:
        prompt, segments, kinds, state, vision = super()._tokenize(tokenizer, request, args)
        self._asked, emitted = request.asked, list(request.asked.emitted)
        self._constraint = request.constraint = _constraint(tokenizer, request.asked)
        if not emitted:
            return prompt, segments, kinds, state, vision
        if self._has_ended(tokenizer, args.stop_words):
            raise ValueError(f"cannot continue an answer of {len(emitted)} tokens: it has ended")
        if vision is not None:
            vision.cache_key.extend(emitted)
        return [*prompt, *emitted], [*segments, emitted], [*kinds, "assistant"], state, vision

    def _make_state_machine(self, model_key: Any, tokenizer: Any, stop_words: list[str]) -> tuple[Any, Any]:
        stops, texts = super()._make_state_machine(model_key, tokenizer, stop_words)
        return _Begun(stops, self._asked.emitted), texts

    def _processors(self, args: Any) -> list[Processor]:
        usual, _ = self._usual
        return usual(args) if self._constraint is None else [*usual(args), self._constraint]

    def _sampler(self, args: Any, tokenizer: Any) -> Sampler:
        _, usual = self._usual
        sampler = usual(args, tokenizer)
        return sampler if self._constraint is None else self._constraint.watching(sampler)

    def _has_ended(self, tokenizer: Any, stop_words: list[str]) -> bool:
        stops, _ = super()._make_state_machine(self.model_provider.model_key, tokenizer, stop_words)
        return _is_completed(stops.matcher(), self._asked.emitted)


class _Begun:
    """Stop sequences that have read the beginning of the answer already: one of them may be under way."""

    def __init__(self, stops: Any, emitted: Sequence[int]) -> None:
        self._stops = stops
        self._emitted = emitted

    def matcher(self) -> Any:
        matcher = self._stops.matcher()
        _is_completed(matcher, self._emitted)
        return matcher


def _is_completed(matcher: Any, tokens: Sequence[int]) -> bool:
    """Have a matcher of stop sequences read tokens; whether one of the sequences came."""
    return any(matcher.advance(token) for token in tokens)


def _constraint(tokenizer: Any, wanted: Asked) -> Any:
    if wanted.grammar is None:
        return None
    # Needed only by some, and it brings a compiler.
    from serving.rank import constraint

    return constraint.processor(tokenizer=tokenizer, grammar=wanted.grammar, emitted=wanted.emitted)


class PromptCache(_server.LRUPromptCache):
    """mlx-lm's, but for one thing: a prompt that is in it whole leaves a token to read.

    With nothing left to read mlx-lm 0.32.2 ends its loop, on all ranks: it is enough to ask for a completion, append
    its text to the prompt and ask again.
    """

    finds_nothing = False
    """Set for a request that has to be read whole."""

    def fetch_nearest_cache(self, model: Any, tokens: list[int]) -> tuple[Any, list[int]]:
        """The cache of the longest beginning of these tokens, and the tokens that are not in it: one at least."""
        if self.finds_nothing or len(tokens) < 2:
            return None, tokens
        cache, rest = super().fetch_nearest_cache(model, tokens)
        if not rest:
            cache, rest = super().fetch_nearest_cache(model, tokens[:-1])
            rest = [*rest, tokens[-1]]
        return cache, rest
