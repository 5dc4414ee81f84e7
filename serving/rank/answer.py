"""Rank 0's side of one answer: what `serving.rank.asked` promises to the endpoint.

An answer that was begun by an earlier attempt is told again from its beginning. Its tokens go through the same
detokenizer and the same text machine as they did then, so that half a character, half a stop word, a thought or a tool
call under way is in the very same state when the first new token comes. mlx-lm 0.32.2 gives a continued answer a fresh
detokenizer, so the text of new tokens is made here as well, the way mlx-lm makes it.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from serving.rank.asked import FIELD, Asked, asked

_server: Any = importlib.import_module("mlx_lm.server")


def answer_as_asked() -> None:
    """Have mlx-lm's server, which is yet to start, keep to the private field."""
    _server._run_http_server = partial(_server._run_http_server, handler_class=_Handler)


class _Handler(_server.APIHandler):
    """One request; mlx-lm makes a handler for each connection, and a connection has one request (HTTP/1.0)."""

    def handle_completion(self, request: Any, stop_words: list[str]) -> None:
        self._answer = self.response_generator = _Answer(self.response_generator, asked(self.body))
        super().handle_completion(request, stop_words)

    def generate_response(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        response = super().generate_response(*arguments, **named)
        return response | {FIELD: self._answer.news()} if self.stream else response

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name in http.server
        """Say nothing: a line for each request buries a rank's last words, and fails it when the disk is full."""


class _Answer:
    """Stands before mlx-lm's generator for one request, with what a handler asks of it."""

    def __init__(self, generator: Any, wanted: Asked) -> None:
        self.cli_args = generator.cli_args
        self._generator = generator
        self._wanted = wanted
        self._untold: list[int] = []
        self._request: Any = None

    def generate(self, request: Any, args: Any, progress_callback: Any = None) -> tuple[Any, Iterator[Any]]:
        """As mlx-lm's generator does: the context of the answer, and its tokens one by one as they come."""
        emitted = len(self._wanted.emitted)
        if args.max_tokens <= emitted:
            raise ValueError(f"cannot continue an answer of {emitted} tokens: at most {args.max_tokens} are asked for")
        # Both go to the other ranks by pickle.
        request.asked = self._wanted
        self._request = request
        args.max_tokens -= emitted
        context, responses = self._generator.generate(request, args, progress_callback)
        return context, self._kept(self._again(context, responses) if emitted else responses)

    def news(self) -> dict[str, Any]:
        """The private field of the next chunk: the tokens that came since the last one."""
        tokens, self._untold = self._untold, []
        # Left there by `serving.rank.continuing`, on the thread that generates.
        constraint = getattr(self._request, "constraint", None)
        failure = None if constraint is None else constraint.failure
        return {"tokens": tokens} if failure is None else {"tokens": tokens, "given_up": failure}

    def _kept(self, responses: Iterator[Any]) -> Iterator[Any]:
        for response in responses:
            self._untold.append(response.token)
            yield response

    def _again(self, context: Any, responses: Iterator[Any]) -> Iterator[Any]:
        # For the usage: what was said is no part of the question.
        context.prompt = context.prompt[: -len(self._wanted.emitted)]
        detokenizer = self._generator.model_provider.tokenizer.detokenizer
        for token in self._wanted.emitted:
            yield _server.Response(_text(detokenizer, token, None), token, 0.0, None, ())
        for response in responses:
            yield replace(response, text=_text(detokenizer, response.token, response.finish_reason))
        context.prompt_cache_count = min(context.prompt_cache_count, len(context.prompt))


def _text(detokenizer: Any, token: int, finish_reason: str | None) -> str:
    if finish_reason != "stop":  # the token that stops is not part of the text
        detokenizer.add_token(token)
    if finish_reason is not None:
        detokenizer.finalize()
    return detokenizer.last_segment
