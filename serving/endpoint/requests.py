"""Which requests reach mlx-lm, and in what form: a written policy, and the pure functions that apply it.

mlx-lm 0.32.2 gives what it gets to the generation loops of all ranks: a `stop` that is a number, an empty prompt or
`top_k: true` ends every one of them; an unknown model name unloads the weights; a seed with a client that leaves hangs
the replica. So every field passes by name and type or not at all. A field that is null is as if it were not there, as
with OpenAI. Errors name the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from serving.configuration import ReplicaConfiguration
from serving.endpoint.fields import (
    Check,
    Needed,
    flag,
    ignored,
    integer,
    number,
    only,
    prompt,
    stop,
    stream_options,
    template_arguments,
)
from serving.endpoint.messages import messages, tools
from serving.errors import RequestRefused

Kind = Literal["chat", "text"]
MAX_DEPTH: Final = 48
"""mlx-lm hands requests to the other ranks by pickle, which ends the loop on deep nesting."""

DEFAULT_TOKENS: Final = 1024
"""When a request does not say how long its answer may be."""


@dataclass(frozen=True)
class Request:
    """A request that may pass."""

    body: dict[str, Any]
    stream: bool
    usage: bool
    """Whether a stream ends with its usage."""


_COMMON: Final[Mapping[str, Check]] = {
    "stream": flag,
    "stream_options": stream_options,
    "stop": stop,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_k": integer(0, 100_000),
    "min_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "repetition_penalty": number(0.01, 10),
    "n": only(1, why="one answer is made for each request"),
    "logit_bias": only({}, why="single tokens cannot be weighed"),
    # A sequence with a seed leaves the batch, and hangs the replica when its client leaves.
    "seed": ignored,
    "user": ignored,
    "metadata": ignored,
    "store": ignored,
    "service_tier": ignored,
    "safety_identifier": ignored,
    "prompt_cache_key": ignored,
    "verbosity": ignored,
}

POLICY: Final[Mapping[Kind, Mapping[str, Check]]] = {
    "chat": {
        **_COMMON,
        "messages": messages,
        "tools": tools,
        "tool_choice": only("auto", "none", why="a tool call cannot be forced"),
        "parallel_tool_calls": flag,
        "logprobs": only(False, why="probabilities are not given"),
        "top_logprobs": only(0, why="probabilities are not given"),
        "response_format": only({"type": "text"}, why="the form of an answer cannot be forced"),
        "chat_template_kwargs": template_arguments,
        "reasoning_effort": ignored,
    },
    "text": {
        **_COMMON,
        "prompt": prompt,
        "echo": only(False, why="the prompt is not repeated"),
        "best_of": only(1, why="one answer is made for each request"),
        "logprobs": only(0, why="probabilities are not given"),
        "suffix": only("", why="text cannot be filled in"),
    },
}
"""What happens to each field. What is not here is refused; what gives None does not go upstream."""

_NEEDED: Final[Mapping[Kind, str]] = {"chat": "messages", "text": "prompt"}
_HERE: Final = frozenset({"stream", "stream_options", "parallel_tool_calls"})
"""Fields that mean something to the endpoint and nothing to mlx-lm."""


def body_limit(replica: ReplicaConfiguration) -> int:
    """Bytes that a request may have: far more than its context holds, far less than hurts."""
    return 65_536 + 32 * replica.context_tokens


def parse(content: bytes) -> dict[str, Any]:
    """A body as JSON that can be handed on whole. Raises RequestRefused."""
    try:
        body = json.loads(content, parse_constant=_no_number)
        _require_sound(body, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise RequestRefused(f"cannot read the request: {error or 'it is nested too deeply'}.") from error
    if not isinstance(body, dict):
        raise RequestRefused("cannot read the request: seen JSON that is no object, needed an object.")
    return body  # pyright: ignore[reportUnknownVariableType]


def clean(kind: Kind, body: Mapping[str, Any], replica: ReplicaConfiguration) -> Request:
    """The request as it may go upstream. Raises RequestRefused naming the first field at fault."""
    given = {name: value for name, value in body.items() if value is not None}
    _require_served(given.pop("model", None), replica)
    tokens = _tokens(given, replica)
    if _NEEDED[kind] not in given:
        raise RequestRefused(f"cannot answer without '{_NEEDED[kind]}'.", _NEEDED[kind])
    passed = {name: _checked(kind, name, value) for name, value in given.items()}
    passed = {name: value for name, value in passed.items() if value is not None and name not in _HERE}
    if given.get("tool_choice") == "none":
        passed.pop("tools", None)
    options: dict[str, Any] = given.get("stream_options", {})
    return Request(
        {**passed, "max_tokens": tokens}, bool(given.get("stream", False)), bool(options.get("include_usage", False))
    )


def _checked(kind: Kind, name: str, value: Any) -> Any:
    check = POLICY[kind].get(name)
    if check is None:
        raise RequestRefused(f"cannot use '{name}': it is not a field this endpoint knows. Leave it out.", name)
    try:
        return check(value)
    except Needed as error:
        shown = json.dumps(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise RequestRefused(f"cannot use '{name}': seen {shown}, needed {error}.", name) from error


def _tokens(given: dict[str, Any], replica: ReplicaConfiguration) -> int:
    """The length of the answer. More than the context holds is cut to it, as clients ask for the most they can take."""
    older, newer = given.pop("max_tokens", None), given.pop("max_completion_tokens", None)
    name, value = ("max_completion_tokens", newer) if newer is not None else ("max_tokens", older)
    if value is None:
        return min(DEFAULT_TOKENS, replica.context_tokens)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RequestRefused(f"cannot use '{name}': seen {json.dumps(value)[:80]}, needed a whole number from 1.", name)
    return min(value, replica.context_tokens)


def _require_served(name: Any, replica: ReplicaConfiguration) -> None:
    if name is not None and name != replica.weights:
        raise RequestRefused(
            f"cannot use model {json.dumps(name)[:80]}: this endpoint serves '{replica.weights}'.", "model", status=404
        )


def _require_sound(value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        value.encode()  # a lone surrogate has no UTF-8
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            _require_sound(key, depth - 1)
            _require_sound(item, depth - 1)
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            _require_sound(item, depth - 1)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
