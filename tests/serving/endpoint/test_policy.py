"""The policy against anything: what passes is what mlx-lm can take, what does not is refused by name."""

from __future__ import annotations

import copy
import json
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.endpoint.openapi import request_schema
from serving.endpoint.reading import read
from serving.endpoint.requests import NEEDED, POLICY, Kind, Request, clean, parse
from serving.errors import RequestRefused
from tests.serving.endpoint.mlx_lm_needs import faults
from tests.serving.replicas import replica

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CONVERSATION = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "1", "tool_call_id": "c1", "name": "f"},
    {"role": "assistant", "content": "One.", "reasoning_content": "hm"},
]
FULL: dict[Kind, dict[str, Any]] = {
    "chat": {
        "model": "cider-1",
        "messages": CONVERSATION,
        "tools": [TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
        "chat_template_kwargs": {"enable_thinking": False},
        "max_completion_tokens": 100,
        "logprobs": False,
    },
    "text": {"model": "cider-1", "prompt": "Once", "echo": False, "suffix": "", "best_of": 1},
}
SHARED = {
    "max_tokens": 50,
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["END"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "min_p": 0.1,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "repetition_penalty": 1.1,
    "n": 1,
    "logit_bias": {},
    "seed": 3,
}
NEAR = {kind: SHARED | FULL[kind] for kind in FULL}
"""A request with nearly every field, all in order."""

SOUND = settings(deadline=None)
KINDS = st.sampled_from(["chat", "text"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**400, -(10**400), 1e-320, -0.0, 1.7e308, 5e-324])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["", "auto", "required", "http://127.0.0.1/x.png", "{{ 1 }}", "<|im_end|>", "\x00", "user"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def told(kind: Kind, value: Any) -> Request | RequestRefused:
    """What becomes of a body that holds this value."""
    try:
        return clean(kind, parse(json.dumps(value).encode()), replica())
    except RequestRefused as refused:
        return refused


def hold(kind: Kind, value: Any) -> None:
    """Passed in a form that mlx-lm can take, or refused as OpenAI would."""
    outcome = told(kind, value)
    if isinstance(outcome, Request):
        assert faults(kind, outcome.body, replica().context_tokens) == []
        assert isinstance(outcome.stream, bool)
        assert isinstance(outcome.usage, bool)
    else:
        assert outcome.status in (400, 404)
        assert str(outcome).startswith("cannot ")
        assert len(str(outcome)) < 600
        assert outcome.parameter is None or f"'{outcome.parameter}'" in str(outcome) or outcome.parameter == "model"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a JSON value."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(cast("dict[Any, Any]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[Any]", value)))
    return [path] + [deeper for name, item in items for deeper in places(item, (*path, name))]


@st.composite
def mutated(draw: st.DrawFn, kind: Kind) -> Any:
    """A sound request with up to three places of it replaced, taken away, or added to."""
    request = copy.deepcopy(NEAR[kind])
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(request)[1:]))
        holder: Any = request
        for name in path[:-1]:
            holder = holder[name]
        match draw(st.sampled_from(["replace", "remove", "wrap", "add"])):
            case "remove":
                del holder[path[-1]]
            case "wrap":
                holder[path[-1]] = [holder[path[-1]]]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = draw(JSON)
            case _:
                holder[path[-1]] = draw(JSON)
    return request


@SOUND
@given(kind=KINDS, value=JSON)
def test_any_json_passes_soundly_or_is_refused(kind: Kind, value: Any):
    hold(kind, value)


@SOUND
@given(kind=KINDS, data=st.data())
def test_any_fields_pass_soundly_or_are_refused(kind: Kind, data: st.DataObject):
    names = st.sampled_from([*POLICY[kind], "model", "adapters", "draft_model", "role_mapping"]) | st.text(max_size=5)
    needed = {NEEDED[kind]: NEAR[kind][NEEDED[kind]]}
    hold(kind, needed | data.draw(st.dictionaries(names, JSON, max_size=4)))


@settings(SOUND, max_examples=400)
@given(data=st.data(), kind=KINDS)
def test_a_sound_request_with_some_places_changed_passes_soundly_or_is_refused(data: st.DataObject, kind: Kind):
    hold(kind, data.draw(mutated(kind)))


@settings(SOUND, max_examples=300)
@given(data=st.data(), kind=KINDS)
def test_the_published_schema_and_the_checks_agree(data: st.DataObject, kind: Kind):
    body = data.draw(mutated(kind))
    outcome = told(kind, body)
    schema = request_schema(kind, replica())
    conforms = jsonschema.Draft202012Validator(schema, format_checker=FORMATS).is_valid(body)

    assert conforms == isinstance(outcome, Request), outcome


FORMATS = jsonschema.FormatChecker(())


@FORMATS.checks("json-object")
def is_json_object(text: object) -> bool:
    try:
        return text == "" or not isinstance(text, str) or isinstance(read(text), dict)
    except ValueError:
        return False


@SOUND
@given(st.binary())
@example(b"{" * 100_000)
@example(b'{"messages": ' + b"[" * 40 + b"]" * 40 + b"}")
def test_any_bytes_are_read_or_refused(content: bytes):
    try:
        outcome = parse(content)
    except RequestRefused as refused:
        outcome = (refused.status, refused.parameter)

    assert isinstance(outcome, dict) or outcome == (400, None)


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_each_row_says_what_happens_and_why(kind: Kind):
    assert all(field.why for field in POLICY[kind].values())
    assert isinstance(told(kind, NEAR[kind]), Request)


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_only_what_passes_or_is_bounded_goes_upstream(kind: Kind):
    outcome = told(kind, NEAR[kind])

    assert isinstance(outcome, Request)
    assert {POLICY[kind][name].fate for name in outcome.body} <= {"passes", "bounded"}
