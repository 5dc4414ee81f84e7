"""Chat messages and tools as mlx-lm's chat templates take them: text only, whole, and nothing unknown.

Every function returns what goes upstream or raises Needed with what is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from serving.endpoint.fields import Needed

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_MESSAGE_FIELDS = {"role", "content", "name", "tool_calls", "tool_call_id"}
_LEFT_OUT = {"refusal", "annotations", "audio", "function_call", "reasoning", "reasoning_content"}
"""What clients send back of an earlier answer, and no template needs."""


def messages(value: Any) -> list[dict[str, Any]]:
    """A conversation."""
    return _each(value, _message, "a list of messages that is not empty")


def tools(value: Any) -> list[dict[str, Any]] | None:
    """Functions that may be called; an empty list is none."""
    return None if value == [] else _each(value, _tool, "a list of functions")


def _each(value: Any, check: Callable[[dict[str, Any]], dict[str, Any]], needed: str) -> list[dict[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if not items or not all(isinstance(item, dict) for item in items):
        raise Needed(needed)
    return [check(item) for item in items]


def _message(message: dict[str, Any]) -> dict[str, Any]:
    given = {name: item for name, item in message.items() if item is not None and name not in _LEFT_OUT}
    role, content, calls = given.get("role"), given.get("content"), given.get("tool_calls")
    unknown = sorted(set(given) - _MESSAGE_FIELDS)
    if unknown:
        raise Needed(f"messages without '{unknown[0]}'")
    if not isinstance(role, str) or role not in _ROLES:
        raise Needed(f"each role to be one of {', '.join(_ROLES)}")
    for name in ("name", "tool_call_id"):
        if not isinstance(given.get(name, ""), str):
            raise Needed(f"each '{name}' to be a text")
    if content is None and (role != "assistant" or not calls):
        raise Needed("each message to have content")
    cleaned = {**given, "role": _ROLES[role], "content": "" if content is None else _content(content)}
    if calls:
        cleaned["tool_calls"] = _each(calls, _call, "each 'tool_calls' to be a list of calls")
    return cleaned


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else [None]
    texts = [_part(part) for part in parts]
    return "".join(texts)


def _part(part: Any) -> str:
    fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    text = fields.get("text")
    if fields.get("type") not in ("text", "input_text", "output_text") or not isinstance(text, str):
        raise Needed("each content to be a text or a list of text parts; images and audio are not taken")
    return text


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    fields = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
    name, arguments = fields.get("name"), fields.get("arguments", "{}")
    if not isinstance(name, str) or not isinstance(call.get("id", ""), str):
        raise Needed("each tool call to have an id and a function with a name")
    if not isinstance(arguments, str) or not _is_object(arguments or "{}"):
        raise Needed("each tool call's arguments to be a JSON object, as text")
    return {
        "id": call.get("id", ""),
        "type": "function",
        "function": {"name": name, "arguments": arguments or "{}"},
    }


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    fields = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
    name, parameters = fields.get("name"), fields.get("parameters")
    if tool.get("type") != "function" or not isinstance(name, str) or not name:
        raise Needed('each tool to be {"type": "function", "function": {"name": ...}}')
    if not isinstance(fields.get("description") or "", str) or not isinstance(parameters or {}, dict):
        raise Needed("each function's description to be a text and its parameters an object")
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": fields.get("description") or "",
            "parameters": parameters or {"type": "object", "properties": {}},
        },
    }
