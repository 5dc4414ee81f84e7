"""Which requests reach mlx-lm, and in what form: a written policy, and the pure functions that apply it.

mlx-lm 0.32.2 gives what it gets to the generation loops of all ranks: a `stop` that is a number, an empty prompt,
`top_k: true` or a `top_k` as large as the vocabulary ends every one of them; an unknown model name unloads the weights;
a seed with a client that leaves hangs the replica. So every field passes by name and type or not at all. A field that
is null is as if it were not there, as with OpenAI. Errors name the field.

What a request weighs in tokens, and what follows from it, is for `counting`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from serving.configuration import ReplicaConfiguration
from serving.endpoint.fields import (
    FLAG,
    IGNORED,
    PROMPT,
    STOP,
    STREAM_OPTIONS,
    TEMPLATE_ARGUMENTS,
    Needed,
    Rule,
    integer,
    kept,
    nothing,
    number,
    only,
)
from serving.endpoint.form_fields import RESPONSE_FORMAT, TOOL_CHOICE, response_format, tool_choice
from serving.endpoint.messages import MESSAGES, TOOLS
from serving.endpoint.reading import read
from serving.errors import RequestRefused

Kind = Literal["chat", "text"]
Fate = Literal["passes", "bounded", "here", "form", "ignored", "refused"]
"""What happens to a field: it goes upstream as it is; within bounds, or in another form; it means something to the
endpoint and nothing to mlx-lm; the answer is held to it while it is made; it has no influence on the answer; it is
refused unless it asks for what happens anyway.
"""

DEFAULT_TOKENS: Final = 1024
"""Of a completion that does not say how long it may be: text has no end of its own. A chat may fill its context."""


@dataclass(frozen=True)
class Field:
    """A row of the policy."""

    fate: Fate
    rule: Rule
    why: str


@dataclass(frozen=True)
class Request:
    """A request that may pass."""

    body: dict[str, Any]
    stream: bool
    usage: bool
    """Whether a stream ends with its usage."""
    form: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The fields that the answer is held to."""
    prompt_tokens: int = 0
    """Once it is counted."""


_LENGTH: Final = Field("bounded", integer(1, 2**63 - 1), "cut to what the prompt leaves of the context")
_ONE_ANSWER: Final = "one answer is made for each request"
_NO_PROBABILITIES: Final = "probabilities are not given"

_COMMON: Final[Mapping[str, Field]] = {
    "max_tokens": _LENGTH,
    "max_completion_tokens": _LENGTH,
    "stream": Field("here", FLAG, "upstream is always a stream: mlx-lm sees that a client left only when it writes"),
    "stream_options": Field("here", STREAM_OPTIONS, "usage is always asked for upstream; obfuscation is not needed"),
    "stop": Field("bounded", STOP, "anything but texts ends the loop"),
    # Divided by, in float16: what is nearly greedy is greedy.
    "temperature": Field("bounded", number(0, 2, (0.001, 0)), "OpenAI's range; what is nearly 0 would overflow"),
    # mlx-lm takes 0 for no limit at all, and looks beyond the vocabulary where float32 has 0.
    "top_p": Field("bounded", number(0, 1, (1e-6, 1e-6)), "0 is the likeliest token only, as with OpenAI"),
    "top_k": Field("bounded", integer(0, 2**31 - 1), "from the vocabulary's size on it is no limit, and left out"),
    "min_p": Field("passes", number(0, 1), "of vLLM and mlx-lm"),
    "presence_penalty": Field("passes", number(-2, 2), "OpenAI's range"),
    "frequency_penalty": Field("passes", number(-2, 2), "OpenAI's range"),
    "repetition_penalty": Field("passes", number(0.01, 10), "of vLLM and mlx-lm; divided by"),
    "n": Field("refused", only(1, why=_ONE_ANSWER), "mlx-lm ignores it"),
    "logit_bias": Field("refused", only({}, why="single tokens cannot be weighed"), "other ids than tokens crash it"),
    "seed": Field("ignored", IGNORED, "it leaves the batch, and hangs the replica when its client leaves"),
    "user": Field("ignored", IGNORED, "nobody is billed"),
    "metadata": Field("ignored", IGNORED, "nothing is stored"),
    "store": Field("ignored", IGNORED, "nothing is stored"),
    "service_tier": Field("ignored", IGNORED, "there is one"),
    "safety_identifier": Field("ignored", IGNORED, "nobody is watched"),
    "prompt_cache_key": Field("ignored", IGNORED, "prompts are cached by what they are"),
}

_CHAT: Final[Mapping[str, Field]] = {
    "messages": Field("bounded", MESSAGES, "text only"),
    "tools": Field("bounded", TOOLS, "functions only"),
    "tool_choice": Field("form", kept(tool_choice, TOOL_CHOICE), "mlx-lm ignores it; with auto weights do as they do"),
    "parallel_tool_calls": Field("form", FLAG, "mlx-lm ignores it; with auto weights call as many as they do"),
    "response_format": Field("form", kept(response_format, RESPONSE_FORMAT), "mlx-lm ignores it"),
    "chat_template_kwargs": Field("bounded", TEMPLATE_ARGUMENTS, "a template from outside would be run"),
    "reasoning_effort": Field("ignored", IGNORED, "templates refuse words they do not know; see chat_template_kwargs"),
    "verbosity": Field("ignored", IGNORED, "a hint, and no template takes it"),
    "prediction": Field("ignored", IGNORED, "a hint for speed"),
    "prompt_cache_options": Field("ignored", IGNORED, "prompts are cached by what they are"),
    "prompt_cache_retention": Field("ignored", IGNORED, "prompts are cached while there is room"),
    "modalities": Field("refused", only(["text"], why="an answer is text"), "weights here speak text"),
    "audio": Field("refused", nothing("an answer is text"), "weights here speak text"),
    "logprobs": Field("refused", only(False, why=_NO_PROBABILITIES), "mlx-lm's stream has none"),
    "top_logprobs": Field("refused", only(0, why=_NO_PROBABILITIES), "mlx-lm's stream has none"),
    "functions": Field("refused", only([], why="tools took their place; use 'tools'"), "mlx-lm ignores it"),
    "function_call": Field("refused", only("none", "auto", why="use 'tool_choice'"), "mlx-lm ignores it"),
    "web_search_options": Field("refused", nothing("nothing is searched"), "there is no web here"),
    "moderation": Field("refused", nothing("nothing is moderated"), "nobody would do it"),
}

_TEXT: Final[Mapping[str, Field]] = {
    "prompt": Field("bounded", PROMPT, "lists and empty texts end the loop"),
    "echo": Field("refused", only(False, why="the prompt is not repeated"), "mlx-lm ignores it"),
    "best_of": Field("refused", only(1, why=_ONE_ANSWER), "mlx-lm ignores it"),
    "logprobs": Field("refused", only(0, False, why=_NO_PROBABILITIES), "mlx-lm's stream has none"),
    "suffix": Field("refused", only("", why="text cannot be filled in"), "mlx-lm ignores it"),
}

POLICY: Final[Mapping[Kind, Mapping[str, Field]]] = {"chat": {**_COMMON, **_CHAT}, "text": {**_COMMON, **_TEXT}}
"""What happens to each field, checked with OpenAI's own client 3.52. What is not here is refused."""

NEEDED: Final[Mapping[Kind, str]] = {"chat": "messages", "text": "prompt"}


def body_limit(replica: ReplicaConfiguration) -> int:
    """Bytes that a request may have: far more than its context holds, far less than hurts."""
    return 65_536 + 32 * replica.context_tokens


def parse(content: bytes) -> dict[str, Any]:
    """A body as JSON that can be handed on whole. Raises RequestRefused."""
    try:
        body = read(content)
    except ValueError as error:
        raise RequestRefused(f"cannot read the request: {error}. Send one JSON object in UTF-8.") from error
    if not isinstance(body, dict):
        raise RequestRefused("cannot read the request: seen JSON that is no object, needed an object.")
    return cast("dict[str, Any]", body)


def require_known(kind: Kind, given: Mapping[str, Any]) -> None:
    """Raises RequestRefused naming the first field at fault; `given` has no model and nothing that is null."""
    for name, value in given.items():
        _checked(kind, name, value)


def clean(kind: Kind, body: Mapping[str, Any], replica: ReplicaConfiguration) -> Request:
    """The request as it may go upstream. Raises RequestRefused naming the first field at fault."""
    given = {name: value for name, value in body.items() if value is not None}
    _require_served(given.pop("model", None), replica)
    if NEEDED[kind] not in given:
        raise RequestRefused(f"cannot answer without '{NEEDED[kind]}'. Add it.", NEEDED[kind])
    checked = {name: _checked(kind, name, value) for name, value in given.items()}
    fates = {name: POLICY[kind][name].fate for name, value in checked.items() if value is not None}
    passed = {name: checked[name] for name, fate in fates.items() if fate not in ("here", "form")}
    if given.get("tool_choice") == "none":
        passed.pop("tools", None)
    options: dict[str, Any] = checked.get("stream_options") or {}
    length = _length(kind, passed, replica.context_tokens)
    return Request(
        {**passed, "max_tokens": length},
        stream=checked.get("stream", False),
        usage=options.get("include_usage", False),
        form={name: checked[name] for name, fate in fates.items() if fate == "form"},
    )


def _checked(kind: Kind, name: str, value: Any) -> Any:
    row = POLICY[kind].get(name)
    if row is None:
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        raise RequestRefused(f"cannot use '{shown}': it is not a field this endpoint knows. Leave it out.", shown)
    try:
        return row.rule.check(value)
    except Needed as error:
        raise RequestRefused(f"cannot use '{name}': seen {_shown(value)}, needed {error}.", name) from error


def _length(kind: Kind, passed: dict[str, Any], context: int) -> int:
    """Takes the length of the answer out. OpenAI's newer name wins; agents ask for more than any context has."""
    older, newer = passed.pop("max_tokens", None), passed.pop("max_completion_tokens", None)
    return min(newer or older or (context if kind == "chat" else DEFAULT_TOKENS), context)


def _require_served(name: Any, replica: ReplicaConfiguration) -> None:
    if name is not None and name != replica.weights:
        raise RequestRefused(
            f"cannot use model {_shown(name)}: this endpoint serves '{replica.weights}'.",
            "model",
            status=404,
            code="model_not_found",
        )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
