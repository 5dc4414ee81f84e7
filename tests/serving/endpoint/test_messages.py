from __future__ import annotations

from typing import Any

import pytest

from serving.endpoint.fields import Needed
from serving.endpoint.messages import MESSAGES, TOOLS

messages, tools = MESSAGES.check, TOOLS.check
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
}


def said(**fields: Any) -> dict[str, Any]:
    """One message as it goes upstream."""
    return messages([{"role": "user", "content": "hi", **fields}])[0]


def test_text_parts_are_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert said(content=parts)["content"] == "ab"


def test_a_developer_speaks_as_the_system():
    assert said(role="developer")["role"] == "system"


def test_what_clients_echo_of_an_answer_is_left_out():
    echoed = {"refusal": None, "annotations": [], "thinking_blocks": [], "provider_specific_fields": {}}

    assert said(role="assistant", **echoed) == {"role": "assistant", "content": "hi"}


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_what_the_weights_thought_is_handed_to_the_template(name: str):
    assert said(role="assistant", **{name: "hm"})["reasoning_content"] == "hm"
    assert "reasoning_content" not in said(role="assistant", **{name: ["hm"]})


def test_a_refusal_is_what_was_said():
    assert said(role="assistant", content=[{"type": "refusal", "refusal": "No."}])["content"] == "No."


def test_no_calls_are_as_if_not_given():
    assert said(tool_calls=[]) == said()


def test_the_message_at_fault_is_told():
    with pytest.raises(Needed, match=r"\(see message 1\)"):
        messages([{"role": "user", "content": "hi"}, {"role": "root"}])


def test_a_tool_call_needs_no_content():
    assert said(role="assistant", content=None, tool_calls=[CALL]) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [CALL],
    }


def test_empty_arguments_are_an_empty_object():
    call = {"id": "c1", "function": {"name": "f", "arguments": ""}}

    assert said(role="assistant", tool_calls=[call])["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": None},
        {"role": "root"},
        {"role": ["user"]},
        {"content": None},
        {"content": 5},
        {"content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]},
        {"content": [{"type": "text"}]},
        {"content": ["a"]},
        {"name": 5},
        {"surprise": 1},
        {"role": "assistant", "tool_calls": "f"},
        {"role": "assistant", "tool_calls": ""},
        {"role": "assistant", "tool_calls": {}},
        {"role": "assistant", "tool_calls": 0},
        {"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "[]"}}]},
        {"role": "user", "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": NaN}'}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": "\\ud800"}'}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": 7}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "", "arguments": "{}"}}]},
        {"role": "assistant", "tool_calls": [{"id": 1, "function": {"name": "f", "arguments": "{}"}}]},
    ],
)
def test_a_message_a_template_could_choke_on_is_refused(wrong: dict[str, Any]):
    with pytest.raises(Needed):
        said(**wrong)


@pytest.mark.parametrize("wrong", [[], {}, "hi", [1], None])
def test_a_conversation_is_a_list_of_messages(wrong: Any):
    with pytest.raises(Needed):
        messages(wrong)


def test_a_tool_passes_whole():
    assert tools([TOOL]) == [TOOL]


def test_a_tool_without_parameters_takes_none():
    bare = {"type": "function", "function": {"name": "f", "description": "d"}}

    assert tools([bare]) == [TOOL]


def test_no_tools_are_as_if_not_given():
    assert tools([]) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "web_search"},
        {"type": "function", "function": "f"},
        {"type": "function", "function": {"name": ""}},
        {"type": "function", "function": {"name": "f", "parameters": "x"}},
        {"type": "function", "function": {"name": "f", "parameters": {"properties": 5}}},
        {"type": "function", "function": {"name": "f", "description": 1}},
        {"type": "function", "function": {"name": "f", "description": False}},
    ],
)
def test_only_functions_are_tools(wrong: dict[str, Any]):
    with pytest.raises(Needed):
        tools([wrong])
