"""Schemas of tools, past LiteLLM.

Its hosted_vllm (1.109.1) takes `additionalProperties: false` out of them, and whatever is called `strict`, a parameter
of that name as well. An answer that is held to a schema would be held to another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

Schemas = Mapping[str, Any]
"""What the arguments of a tool must be, by its name."""


def schemas_of(tools: object) -> Schemas:
    """Those of a request's tools, in whichever API."""
    told: dict[str, Any] = {}
    for tool in cast("list[dict[str, Any]]", tools) if isinstance(tools, list) else []:
        described: Any = tool.get("function", tool)
        schema: Any = described.get("parameters", described.get("input_schema"))
        if isinstance(schema, dict) and isinstance(described.get("name"), str):
            told[described["name"]] = schema
    return told


def restored(body: dict[str, Any], schemas: Schemas) -> dict[str, Any]:
    """A chat's body with the schemas as they were. A tool that LiteLLM has made or renamed stays as it is."""
    tools: Any = body.get("tools")
    if not schemas or not isinstance(tools, list):
        return body
    return {**body, "tools": [_restored(tool, schemas) for tool in cast("list[Any]", tools)]}


def _restored(tool: Any, schemas: Schemas) -> Any:
    given = cast("dict[str, Any]", tool) if isinstance(tool, dict) else {}
    function = cast("dict[str, Any]", given["function"]) if isinstance(given.get("function"), dict) else {}
    name = function.get("name")
    if not isinstance(name, str) or name not in schemas:
        return cast("Any", tool)
    return {**given, "function": {**function, "parameters": schemas[name]}}
