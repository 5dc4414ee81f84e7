"""What a request weighs in tokens, by the weights' own tokenizer and chat template, exactly as mlx-lm makes it of it.

mlx-lm 0.32.2 has no limit of context: a prompt that is too long takes the machine down. Its `tokenizer_utils` needs
transformers only and is read here without its package, whose import loads MLX, which the agent must not hold. The
tokenizer is read once, in a thread, as importing transformers takes seconds; requests are read and counted in another,
one after the other, because a tokenizer cannot be used by two threads at a time. Neither holds up the event loop:
transformers encodes without Python's lock.
"""

# transformers and mlx-lm carry no types for these parts:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

from serving.configuration import ReplicaConfiguration
from serving.endpoint.requests import Kind, Request, clean, parse
from serving.endpoint.structure import grammar
from serving.endpoint.writing import Writing, tool_parser
from serving.errors import RequestRefused, UpstreamFailed
from serving.rank.asked import Asked

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Tokenizer:
    """The tokenizer and chat template of one directory of weights. For one thread at a time."""

    def __init__(self, directory: Path) -> None:
        transformers: Any = importlib.import_module("transformers")
        logging.getLogger("transformers").setLevel(logging.ERROR)  # it warns of texts longer than its own limit
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
        config: dict[str, Any] = json.loads((directory / "config.json").read_text())
        utils, defaults = _of_mlx_lm("tokenizer_utils"), _defaults(config)
        template = _own_template(tokenizer, defaults)
        self._tokenizer: Any = utils.TokenizerWrapper(tokenizer, chat_template=template)
        size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
        self.vocabulary = min(len(tokenizer), size or len(tokenizer))
        """Tokens that the weights can tell apart."""
        parser = tool_parser(tokenizer, utils._infer_tool_parser, defaults.get("tool_parser_type"))
        self.writing = Writing.of(tokenizer, parser)
        """How they write calls, and what grammars are made of."""

    def tokens(self, kind: Kind, body: Mapping[str, Any]) -> list[int]:
        """The prompt of a cleaned body. Raises RequestRefused when it cannot be put into the template."""
        try:
            if kind == "text":
                return self._tokenizer.encode(body["prompt"])
            if self._tokenizer.has_chat_template:
                return self._tokenizer.apply_chat_template(
                    _as_templates_take(body["messages"]),
                    add_generation_prompt=True,
                    tools=body.get("tools"),
                    tokenize=True,
                    **body.get("chat_template_kwargs", {}),
                )
        except Exception as error:  # a template is a program of the weights, and may raise anything
            raise RequestRefused(
                f"cannot use these messages with the chat template of the weights: {str(error)[:300]}. Change them.",
                _PARAMETER[kind],
            ) from error
        raise RequestRefused("cannot chat: these weights have no chat template. Use /v1/completions.", "messages")

    def stopped_by(self, tokens: Sequence[int], stops: Sequence[str]) -> str | None:
        """The stop sequence that ended an answer of these tokens; None when it came to its own end."""
        if not tokens or tokens[-1] in self._tokenizer.eos_token_ids:
            return None
        text: str = self._tokenizer.decode(list(tokens[-_TAIL:]))
        found = [stop for stop in stops if stop in text]
        return max(found, key=text.rfind) if found else None


_TAIL: Final = 512
"""Tokens at the end of an answer, in which its stop sequence is; one has 500 characters at most."""
_PARAMETER: Mapping[Kind, str] = {"chat": "messages", "text": "prompt"}


def fitted(kind: Kind, request: Request, tokenizer: Tokenizer, context: int) -> Request:
    """The request with its prompt counted, its answer cut to what that leaves of the context, its form as a grammar."""
    name = _PARAMETER[kind]
    count = len(tokenizer.tokens(kind, request.body))
    if count == 0:
        raise RequestRefused(f"cannot use '{name}': seen nothing that makes a token, needed at least one.", name)
    if count >= context:
        raise RequestRefused(
            f"This model's maximum context length is {context} tokens. However, your {name} resulted in {count} "
            f"tokens, and an answer needs at least one. Please reduce the length of the {name}.",
            name,
            code="context_length_exceeded",
        )
    body = {**request.body, "max_tokens": min(request.body["max_tokens"], context - count)}
    if body.get("top_k", 0) >= tokenizer.vocabulary:
        del body["top_k"]  # no limit; mlx-lm's loop ends on it
    held_to = grammar({**body, **request.form}, tokenizer.writing)
    private = {} if held_to is None else Asked(grammar=held_to).field()
    return replace(request, body=body | private, prompt_tokens=count)


class Counting:
    """Reads, checks and counts the requests of one replica."""

    def __init__(self, replica: ReplicaConfiguration, tokenizer: Future[Tokenizer] | None = None) -> None:
        self._replica = replica
        self._worker = ThreadPoolExecutor(1, "counting")
        self._reader = ThreadPoolExecutor(1, "tokenizer")
        self._reading = tokenizer

    def begin(self) -> Future[Tokenizer]:
        """Read the tokenizer now, so that the first request need not wait for it. Once; again after a failure."""
        if self._reading is None or (self._reading.done() and not _succeeded(self._reading)):
            self._reading = self._reader.submit(Tokenizer, Path(self._replica.weights_directory))
        return self._reading

    async def request(self, kind: Kind, content: bytes) -> Request:
        """What a body asks, as it may go upstream. Raises RequestRefused, or UpstreamFailed without a tokenizer."""
        if not _succeeded(self.begin()):
            # What is at fault is told so: not after the tokenizer has been read, nor that it cannot be.
            await self._in_turn(_read, kind, content, self._replica)
        return await self._in_turn(_weighed, kind, content, self._replica, await self._tokenizer())

    async def tokens(self, kind: Kind, content: bytes) -> int:
        """What the prompt of a body weighs, whether it fits or not. Raises as `request` does."""
        asked = await self._in_turn(_read, kind, content, self._replica)
        tokenizer = await self._tokenizer()
        return len(await self._in_turn(tokenizer.tokens, kind, asked.body))

    async def stopped_by(self, tokens: Sequence[int], stops: Sequence[str]) -> str | None:
        """The stop sequence that ended an answer, if one did. Raises UpstreamFailed without a tokenizer."""
        if not stops:
            return None
        return await self._in_turn((await self._tokenizer()).stopped_by, tokens, stops)

    async def _tokenizer(self) -> Tokenizer:
        reading = self.begin()
        try:
            return reading.result() if reading.done() else await asyncio.shield(asyncio.wrap_future(reading))
        except Exception as error:  # whatever transformers makes of damaged files
            raise UpstreamFailed(
                f"cannot read the tokenizer in {self._replica.weights_directory}: {type(error).__name__}: {error}"
            ) from error

    async def _in_turn(self, work: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, partial(work, *arguments, **named))


def _succeeded(reading: Future[Tokenizer]) -> bool:
    return reading.done() and reading.exception() is None


def _read(kind: Kind, content: bytes, replica: ReplicaConfiguration) -> Request:
    return clean(kind, parse(content), replica)


def _weighed(kind: Kind, content: bytes, replica: ReplicaConfiguration, tokenizer: Tokenizer) -> Request:
    return fitted(kind, _read(kind, content, replica), tokenizer, replica.context_tokens)


def _as_templates_take(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages as mlx-lm's `process_message_content` leaves them: the arguments of calls are objects."""
    return [
        {**message, "tool_calls": [_parsed(call) for call in message["tool_calls"]]}
        if "tool_calls" in message
        else dict(message)
        for message in messages
    ]


def _parsed(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}


def _own_template(tokenizer: Any, defaults: Mapping[str, Any]) -> Any:
    """The template that mlx-lm brings for weights without one of their own, or None."""
    told: Mapping[str, Any] = tokenizer.init_kwargs
    kind = told.get("chat_template_type", defaults.get("chat_template_type"))
    if not kind or ("chat_template_type" not in told and tokenizer.chat_template is not None):
        return None
    return _of_mlx_lm(f"chat_templates.{kind}").apply_chat_template


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """TOKENIZER_DEFAULTS of the weights' module in mlx-lm, which cannot be imported without MLX."""
    source = _file(f"models.{config.get('model_type')}")
    statements = ast.parse(source.read_text()).body if source.is_file() else []
    for statement in statements:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "TOKENIZER_DEFAULTS":
            return cast("dict[str, Any]", ast.literal_eval(statement.value))
    return {}


def _of_mlx_lm(name: str) -> Any:
    """A module of mlx-lm that needs no MLX, without mlx-lm's own `__init__`, which does."""
    spec: Any = importlib.util.spec_from_file_location(f"{__name__}.{name}", _file(name))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(name: str) -> Path:
    package: Any = importlib.util.find_spec("mlx_lm")
    return Path(package.submodule_search_locations[0], *name.split(".")).with_suffix(".py")
