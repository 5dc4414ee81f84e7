import jsonschema_rs
import pytest

from serving.endpoint import form_fields
from serving.endpoint.fields import Needed

NAMED = {"type": "function", "function": {"name": "f"}}


def allowed(mode: object, tools: object) -> dict:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


FORMS = [
    ({"type": "text"}, True),
    ({"type": "json_object"}, True),
    ({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}, True),
    ({"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True, "description": "b"}}, True),
    ({"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": None}}, True),
    ({"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": 1}}, False),
    ({"type": "json_schema", "json_schema": {"name": 1, "schema": {}}}, False),
    ({"type": "json_schema", "json_schema": {"name": "a", "schema": True}}, False),
    ({"type": "json_schema", "json_schema": {"name": "a"}}, False),
    ({"type": "json_schema", "json_schema": []}, False),
    ({"type": "json_schema"}, False),
    ({"type": "grammar"}, False),
    ({"type": ["text"]}, False),
    ({}, False),
    ("json_object", False),
    (True, False),
]
CHOICES = [
    ("none", True),
    ("auto", True),
    ("required", True),
    (NAMED, True),
    (allowed("required", [NAMED]), True),
    (allowed("auto", [NAMED]), False),
    (allowed("required", []), False),
    (allowed("required", [{}]), False),
    (allowed("required", "f"), False),
    ({"type": "allowed_tools"}, False),
    ({"type": "function", "function": {"name": 1}}, False),
    ({"type": "function", "name": "f"}, False),
    ({"type": "custom", "custom": {"name": "f"}}, False),
    ("any", False),
    (["auto"], False),
    (1, False),
]


@pytest.mark.parametrize(
    ("check", "schema", "value", "passes"),
    [
        *((form_fields.response_format, form_fields.RESPONSE_FORMAT, *each) for each in FORMS),
        *((form_fields.tool_choice, form_fields.TOOL_CHOICE, *each) for each in CHOICES),
    ],
)
def test_a_field_passes_its_check_when_it_is_what_its_schema_says(check, schema, value, passes):
    try:
        goes_upstream = check(value)
    except Needed:
        checked = False
    else:
        checked = goes_upstream is None

    assert (checked, jsonschema_rs.is_valid(schema, value)) == (passes, passes)
