"""Checks of the fields that ask for a form: `response_format` and `tool_choice`, each with the schema of what passes.

Both are made a grammar of by `serving.endpoint.structure`; nothing of them goes upstream.
"""

from __future__ import annotations

from typing import Any, Final, cast

from serving.endpoint.fields import Needed

_FUNCTION: Final = {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
        "type": {"const": "function"},
        "function": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}
TOOL_CHOICE: Final = {
    "anyOf": [
        {"enum": ["none", "auto", "required"]},
        _FUNCTION,
        {
            "type": "object",
            "required": ["type", "allowed_tools"],
            "properties": {
                "type": {"const": "allowed_tools"},
                "allowed_tools": {
                    "type": "object",
                    "required": ["mode", "tools"],
                    "properties": {
                        "mode": {"const": "required"},
                        "tools": {"type": "array", "minItems": 1, "items": _FUNCTION},
                    },
                },
            },
        },
    ]
}
RESPONSE_FORMAT: Final = {
    "anyOf": [
        {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["text", "json_object"]}}},
        {
            "type": "object",
            "required": ["type", "json_schema"],
            "properties": {
                "type": {"const": "json_schema"},
                "json_schema": {
                    "type": "object",
                    "required": ["schema"],
                    "properties": {
                        "name": {"type": "string"},
                        "schema": {"type": "object"},
                        "strict": {"type": ["boolean", "null"]},
                        "description": {"type": ["string", "null"]},
                    },
                },
            },
        },
    ]
}


def response_format(value: Any) -> None:
    """Text, any JSON object, or what a schema allows."""
    given = _object(value)
    kind = given.get("type")
    if kind in ("text", "json_object"):
        return
    if kind != "json_schema":
        raise Needed('{"type": "text"}, {"type": "json_object"} or {"type": "json_schema", "json_schema": ...}')
    form = _object(given.get("json_schema"))
    if not isinstance(form.get("schema"), dict) or not isinstance(form.get("name", ""), str):
        raise Needed('"json_schema" to be {"name": ..., "schema": ...} with a schema that is an object')
    if not isinstance(form.get("strict"), bool | None) or not isinstance(form.get("description"), str | None):
        raise Needed("'strict' to be true or false and 'description' a text")


def tool_choice(value: Any) -> None:
    """Whether a function is called, and which."""
    if value in ("none", "auto", "required"):
        return
    given = _object(value)
    if given.get("type") == "allowed_tools":
        allowed = _object(given.get("allowed_tools"))
        tools = allowed.get("tools")
        if allowed.get("mode") != "required" or not isinstance(tools, list) or not tools:
            raise Needed('allowed_tools to have the mode "required" and a list of tools; for "auto", list fewer tools')
        for tool in cast("list[Any]", tools):
            _require_named(_object(tool))
        return
    _require_named(given)


def _require_named(choice: dict[str, Any]) -> None:
    if choice.get("type") != "function" or not isinstance(_object(choice.get("function")).get("name"), str):
        raise Needed('"none", "auto", "required" or {"type": "function", "function": {"name": ...}}')


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
