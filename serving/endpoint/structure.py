"""Which answers have to keep to a grammar, and to which: `response_format` and `tool_choice` of a chat request.

    response_format  json_object: any JSON object; json_schema: what the schema allows, whether `strict` or not
    tool_choice      required, a named function, or allowed_tools with mode required: calls, with arguments that their
                     parameters allow; auto is left to the weights, `strict` functions included

Where the weights may either call a tool or answer in a form, both are in the grammar. A schema is held to exactly, as
far as llguidance 1.9.1 knows JSON Schema; the rest is refused, and so is what takes long to compile. An answer that
max_tokens cuts is not whole; it ends with `length`, as with OpenAI.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from serving import guidance
from serving.endpoint.moments import narrowed
from serving.endpoint.tool_formats import calls
from serving.endpoint.writing import Function, Schema, Writing, json_of
from serving.errors import RequestRefused

MAX_BYTES: Final = 65_536
"""Of a grammar: while the ranks compile it, no answer goes on."""
MAX_MULTIPLE: Final = 1000
"""The product of all `multipleOf`, without their zeros. Each remainder is a state, and llguidance's limits do not count
them while it compiles: a million of them were seen to take half a minute."""

_HEADED: Final = {"muse_spark"}
"""Tool formats of weights whose text mlx-lm drops up to a header that says to whom it goes."""
_NONE: Final[Schema] = {"type": "object", "properties": {}, "additionalProperties": False}
_OPENING: Final = {"additionalProperties", "patternProperties", "$ref", "anyOf", "allOf", "oneOf"}
"""Keywords that may let an object without `properties` have some."""


def grammar(body: Mapping[str, Any], writing: Writing) -> str | None:
    """What the answer to a chat request must keep to, or None. Its fields are checked already, its nulls gone.

    May take a second, without Python's lock. Raises RequestRefused.
    """
    form, names = _form(body), _called(body)
    tools: Sequence[Any] = body.get("tools", []) if body.get("tool_choice") != "none" else []
    if names is not None:
        functions = _named([_function(tool) for tool in tools], names)
        return _compiled(["start: calls", _calls(body, writing, functions)], writing, functions, "tools")
    if form is None:
        return None
    if writing.parser in _HEADED:
        raise RequestRefused(
            f"cannot hold an answer to a form with these weights: they write headers ({writing.parser}), for which "
            "there is no grammar here. Leave response_format out.",
            "response_format",
        )
    answer = f"answer: {json_of(form)}"
    if not tools:
        return _compiled(["start: answer", answer], writing, [], "response_format")
    functions = [_function(tool) for tool in tools]
    rules = ["start: answer | calls", answer, _calls(body, writing, functions)]
    return _compiled(rules, writing, functions, "response_format")


def _form(body: Mapping[str, Any]) -> Schema | None:
    wanted = body.get("response_format", {"type": "text"})
    if wanted["type"] == "json_schema":
        return _held(wanted["json_schema"]["schema"], "response_format")
    return {"type": "object"} if wanted["type"] == "json_object" else None


def _called(body: Mapping[str, Any]) -> Sequence[str] | None:
    """The functions of which one has to be called, or None; empty for all of them."""
    choice: Any = body.get("tool_choice", "auto")
    if isinstance(choice, str):
        return () if choice == "required" else None
    if choice["type"] == "function":
        return (choice["function"]["name"],)
    return tuple(tool["function"]["name"] for tool in choice["allowed_tools"]["tools"])


def _named(functions: Sequence[Function], names: Sequence[str]) -> Sequence[Function]:
    if not functions:
        raise RequestRefused("cannot force a tool call: seen no tools. List them, or leave tool_choice out.", "tools")
    unknown = sorted(set(names) - {function.name for function in functions})
    if unknown:
        shown = json.dumps(unknown[0])[:80]
        raise RequestRefused(f"cannot call {shown}: it is not in tools. Add it, or name another.", "tool_choice")
    return [function for function in functions if not names or function.name in names]


def _function(tool: Mapping[str, Any]) -> Function:
    function = tool["function"]
    parameters: Schema = function.get("parameters") or _NONE
    if parameters.get("type", "object") != "object":
        raise RequestRefused(
            f"cannot call {json.dumps(function['name'])[:80]}: seen parameters of type "
            f"{json.dumps(parameters['type'])[:80]}, needed an object. Change its parameters.",
            "tools",
        )
    if not parameters.get("properties") and not _OPENING & set(parameters):
        parameters = {**parameters, **_NONE}
    return Function(function["name"], _held({**parameters, "type": "object"}, "tools"))


def _calls(body: Mapping[str, Any], writing: Writing, functions: Sequence[Function]) -> str:
    try:
        # A named function is called once, as with OpenAI.
        once = isinstance(body.get("tool_choice"), dict) and body["tool_choice"]["type"] == "function"
        return calls(writing, functions, parallel=body.get("parallel_tool_calls", True) and not once)
    except RequestRefused as refusal:
        if _called(body) is not None:
            raise
        raise RequestRefused(
            f'cannot use response_format while tools may be called: {refusal} Or use tool_choice "none".',
            "response_format",
        ) from refusal


def _compiled(rules: Iterable[str], writing: Writing, functions: Sequence[Function], parameter: str) -> str:
    lark = "\n".join(["%llguidance {}", *rules, ""])
    _require_small(lark, parameter)
    try:
        guidance.matcher(writing.vocabulary, lark)
    except ValueError as error:
        faulty = next((function for function in functions if not _compiles(writing, function)), None)
        what = f"the parameters of {json.dumps(faulty.name)[:80]}" if faulty else "this schema"
        raise RequestRefused(
            f"cannot hold an answer to {what}: {_in_short(str(error))}. "
            "Leave out what is not supported, or ask for less.",
            "tools" if faulty else parameter,
        ) from error
    return lark


def _compiles(writing: Writing, function: Function) -> bool:
    try:
        guidance.matcher(writing.vocabulary, f"%llguidance {{}}\nstart: {json_of(function.parameters)}\n")
    except ValueError:
        return False
    return True


def _require_small(lark: str, parameter: str) -> None:
    size = len(lark.encode())
    if size > MAX_BYTES:
        raise RequestRefused(
            f"cannot hold an answer to this: as a grammar it has {size} bytes, at most {MAX_BYTES} are taken. "
            "Use smaller schemas or fewer tools.",
            parameter,
        )


def _held(schema: Schema, parameter: str) -> Schema:
    steps = math.prod(_steps(schema))
    if steps > MAX_MULTIPLE:
        raise RequestRefused(
            f"cannot hold numbers to 'multipleOf': all of a schema multiply to {steps}, zeros left out, at most "
            f"{MAX_MULTIPLE} is taken. Leave it out.",
            parameter,
        )
    return narrowed(schema)


def _steps(value: Any) -> Iterator[int]:
    """The numbers under `multipleOf`, wherever they are, without their zeros."""
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            if name == "multipleOf" and isinstance(item, (int, float)) and item > 0:
                yield int("".join(map(str, Decimal(str(item)).normalize().as_tuple().digits)))
            yield from _steps(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _steps(item)


def _in_short(error: str) -> str:
    """llguidance's reason, without the grammar around it."""
    _, _, reason = error.rpartition("failed to compile JSON schema: ")
    return " ".join(re.split(r"\n +\d+ \| ", reason)[0].split())[:200].rstrip(".")
