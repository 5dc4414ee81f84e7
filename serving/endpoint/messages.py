"""Chat messages and tools as mlx-lm's chat templates take them: text only, whole, and nothing unknown.

Every check returns what goes upstream or raises Needed with what is needed; MESSAGES and TOOLS carry the JSON Schema of
what passes. Images are refused and never looked at: mlx-lm fetches whatever address they give, and answers them outside
its batch, where a client that leaves hangs the replica.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from serving.endpoint.fields import Needed, Rule
from serving.endpoint.reading import read

_ROLES: Final = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_MESSAGE_FIELDS: Final = {"role", "content", "name", "tool_call_id"}
"""Beside `tool_calls`."""
_REASONING: Final = ("reasoning_content", "reasoning")
"""What weights thought before an answer; templates that want it back know it by the first name."""
_LEFT_OUT: Final = {
    "annotations",
    "audio",
    "cache_control",
    "function_call",
    "id",
    "images",
    "provider_specific_fields",
    "reasoning_details",
    "refusal",
    "thinking_blocks",
}
"""What clients and LiteLLM add to a message or send back of an earlier answer, and no template needs."""

_TEXT_PARTS: Final = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}


def _messages(value: Any) -> list[dict[str, Any]]:
    return _each(value, _message, "a list of messages that is not empty", "message")


def _tools(value: Any) -> list[dict[str, Any]] | None:
    return None if value == [] else _each(value, _tool, "a list of functions", "tool")


def _each(
    value: Any, check: Callable[[dict[str, Any]], dict[str, Any]], needed: str, noun: str
) -> list[dict[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if not items or not all(isinstance(item, dict) for item in items):
        raise Needed(needed)
    checked: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        try:
            checked.append(check(item))
        except Needed as error:
            raise Needed(f"{error} (see {noun} {place})") from error
    return checked


def _message(message: dict[str, Any]) -> dict[str, Any]:
    given = {name: item for name, item in message.items() if item is not None and name not in _LEFT_OUT}
    thought = _reasoning(given)
    calls = given.pop("tool_calls", None)
    calls = None if calls == [] else calls
    role, content = given.get("role"), given.get("content")
    unknown = sorted(set(given) - _MESSAGE_FIELDS)
    if unknown:
        raise Needed(f"messages without '{unknown[0][:80]}'")
    if not isinstance(role, str) or role not in _ROLES:
        raise Needed(f"each role to be one of {', '.join(_ROLES)}")
    for name in ("name", "tool_call_id"):
        if not isinstance(given.get(name, ""), str):
            raise Needed(f"each '{name}' to be a text")
    if calls is not None and role != "assistant":
        raise Needed("'tool_calls' only in messages of the assistant")
    if content is None and calls is None:
        raise Needed("each message to have content")
    cleaned = {**given, "role": _ROLES[role], "content": "" if content is None else _content(content), **thought}
    if calls is not None:
        cleaned["tool_calls"] = _each(calls, _call, "each 'tool_calls' to be a list of calls", "call")
    return cleaned


def _reasoning(given: dict[str, Any]) -> dict[str, str]:
    """Takes what was thought out of a message; anything but a text is left out."""
    thoughts = [given.pop(name, None) for name in _REASONING]
    texts = [thought for thought in thoughts if isinstance(thought, str) and thought]
    return {_REASONING[0]: texts[0]} if texts else {}


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else [None]
    return "".join([_part(part) for part in parts])


def _part(part: Any) -> str:
    fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    kind = fields.get("type")
    text = fields.get(_TEXT_PARTS[kind]) if isinstance(kind, str) and kind in _TEXT_PARTS else None
    if not isinstance(text, str):
        raise Needed("each content to be a text or a list of text parts; images, audio and files are not taken")
    return text


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function, identity = call.get("function"), call.get("id")
    fields = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
    name, arguments = fields.get("name"), fields.get("arguments")
    if not isinstance(name, str) or not name or not isinstance(identity, str | None):
        raise Needed("each tool call to have an id and a function with a name")
    return {
        "id": identity or "",
        "type": "function",
        "function": {"name": name, "arguments": _arguments("" if arguments is None else arguments)},
    }


def _arguments(arguments: Any) -> str:
    if arguments == "":
        return "{}"
    try:
        if isinstance(arguments, str) and isinstance(read(arguments), dict):
            return arguments
    except ValueError as error:
        raise Needed(f"each tool call's arguments to be a JSON object, as text: {error}") from error
    raise Needed("each tool call's arguments to be a JSON object, as text")


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    fields = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
    name, description, parameters = (fields.get(field) for field in ("name", "description", "parameters"))
    if tool.get("type") != "function" or not isinstance(name, str) or not name:
        raise Needed('each tool to be {"type": "function", "function": {"name": ...}}')
    if not isinstance(description, str | None):
        raise Needed("each function's description to be a text")
    return {
        "type": "function",
        "function": {"name": name, "description": description or "", "parameters": _parameters(parameters)},
    }


def _parameters(value: Any) -> dict[str, Any]:
    parameters = cast("dict[str, Any] | None", value) if isinstance(value, dict | None) else {"properties": None}
    if parameters and not isinstance(parameters.get("properties", {}), dict):
        raise Needed("each function's parameters to be an object, a JSON Schema with 'properties'")
    return parameters or {"type": "object", "properties": {}}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_STRING: Final[dict[str, Any]] = {"type": "string"}
_NAME: Final = _STRING | {"minLength": 1}
_NO_MORE: Final = {"type": "null"}  # what is null is as if it were not there

_CALL: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["function"],
    "properties": {
        "id": _or_null(_STRING),
        "function": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": _NAME,
                "arguments": _or_null({"type": "string", "format": "json-object"}),
            },
        },
    },
}

_PART: Final[dict[str, Any]] = {
    "anyOf": [
        {
            "type": "object",
            "required": ["type", field],
            "properties": {"type": {"enum": [kind for kind in _TEXT_PARTS if _TEXT_PARTS[kind] == field]}}
            | {field: _STRING},
        }
        for field in ("text", "refusal")
    ]
}

_CONTENT: Final[dict[str, Any]] = {"anyOf": [_STRING, {"type": "array", "items": _PART}]}


def _message_schema(roles: list[str], required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    common: dict[str, Any] = {"role": {"enum": roles}, "name": _or_null(_STRING), "tool_call_id": _or_null(_STRING)}
    left_out: dict[str, Any] = {name: {} for name in sorted(_LEFT_OUT | set(_REASONING))}
    return {
        "type": "object",
        "required": ["role", required],
        "properties": {**common, **fields, **left_out},
        "additionalProperties": _NO_MORE,
    }


_ASSISTANT: Final = ["assistant"]
_OTHERS: Final = [role for role in _ROLES if role not in _ASSISTANT]
_CALLS: Final[dict[str, Any]] = {"type": "array", "items": _CALL}
MESSAGES: Final = Rule(
    _messages,
    {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                _message_schema(_OTHERS, "content", content=_CONTENT, tool_calls=_or_null(_CALLS | {"maxItems": 0})),
                _message_schema(_ASSISTANT, "content", content=_CONTENT, tool_calls=_or_null(_CALLS)),
                _message_schema(
                    _ASSISTANT, "tool_calls", content=_or_null(_CONTENT), tool_calls=_CALLS | {"minItems": 1}
                ),
            ]
        },
    },
)
"""A conversation."""

TOOLS: Final = Rule(
    _tools,
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["type", "function"],
            "properties": {
                "type": {"const": "function"},
                "function": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": _NAME,
                        "description": _or_null(_STRING),
                        "parameters": _or_null({"type": "object", "properties": {"properties": {"type": "object"}}}),
                    },
                },
            },
        },
    },
)
"""Functions that may be called; an empty list is none."""
