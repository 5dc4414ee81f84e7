"""LiteLLM 1.109.1's hosted_vllm changes the schemas of tools; what the endpoint gets is what the client sent."""

from __future__ import annotations

from typing import Any

import pytest

from serving.gateway.schemas import restored, schemas_of

SENT = {"type": "object", "properties": {"strict": {"type": "boolean"}}, "additionalProperties": False}
CAME = {"type": "object", "properties": {}}
TOOLS: dict[str, Any] = {
    "chat": {"type": "function", "function": {"name": "f", "parameters": SENT}},
    "messages": {"name": "f", "input_schema": SENT},
    "responses": {"type": "function", "name": "f", "parameters": SENT},
}


def tool(name: str, parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


@pytest.mark.parametrize("api", TOOLS)
def test_a_schema_is_put_back_as_it_was_sent(api: str):
    body = restored({"model": "w", "tools": [tool("g", CAME), tool("f", CAME)]}, schemas_of([TOOLS[api]]))

    assert body == {"model": "w", "tools": [tool("g", CAME), tool("f", SENT)]}


@pytest.mark.parametrize(
    "tools", [None, 5, [], [{}], [{"type": "custom", "name": "f"}], [{"name": "f", "input_schema": 5}]]
)
def test_where_there_are_no_schemas_nothing_is_changed(tools: Any):
    body = {"tools": [tool("f", CAME)]}

    assert restored(body, schemas_of(tools)) is body


@pytest.mark.parametrize("tools", [None, 5, [5], [{"function": 5}], [{"function": {"name": 5}}]])
def test_what_is_no_list_of_tools_is_left_to_the_endpoint(tools: Any):
    assert restored({"tools": tools}, {"f": SENT}) == {"tools": tools}
