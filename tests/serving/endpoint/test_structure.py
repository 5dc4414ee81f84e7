import json

import pytest

from serving.endpoint import structure
from serving.errors import RequestRefused
from tests.serving import schemas
from tests.serving.endpoint import grammars

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time."}}
NAMED = {"type": "function", "function": {"name": "clock"}}
CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


def form(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}


def grammar(parser: str | None = "json_tools", **body) -> str | None:
    return structure.grammar(body, grammars.like(parser))


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"response_format": {"type": "text"}},
        {"tools": [WEATHER]},
        {"tools": [WEATHER], "tool_choice": "auto"},
        {"tools": [WEATHER], "tool_choice": "none"},
        {"tools": [WEATHER], "response_format": {"type": "text"}},
    ],
)
def test_nothing_is_held_to_where_nothing_is_asked(body):
    assert grammar(**body) is None


def test_every_answer_under_two_hundred_random_schemas_is_valid():
    for seed in range(200):
        schema = schemas.schema(seed)
        answer = grammars.babble(grammar(response_format=form(schema)), seed)
        assert schemas.is_valid(json.loads(answer), schema), (seed, answer)


def test_a_json_object_is_any_object_and_nothing_else():
    held = grammar(response_format={"type": "json_object"})

    assert [grammars.allows(held, text) for text in ("{}", '{"a": [1, null]}', "[]", "1", "Hello", "")] == [
        *(True, True),
        *(False, False, False, False),
    ]


@pytest.mark.parametrize("text", ['{"a":1}', '{"a": 1}'])
def test_json_is_written_short_or_with_single_blanks(text):
    assert grammars.allows(grammar(response_format=form(CLOSED)), text)


@pytest.mark.parametrize("text", ['{"a":  1}', '{ "a":1}', '{"a":1} ', '\n{"a":1}', '{"a":1\n}', '{"a" :1}'])
def test_blanks_cannot_go_on(text):
    assert not grammars.allows(grammar(response_format=form(CLOSED)), text)


def test_a_required_call_is_of_any_function():
    held = grammar(tools=[WEATHER, CLOCK], tool_choice="required")

    assert grammars.allows(held, call("clock", "{}"))
    assert grammars.allows(held, call("get_weather", '{"city": "Rome"}'))
    assert not grammars.allows(held, call("get_weather", "{}"))
    assert not grammars.allows(held, call("get_time", "{}"))
    assert not grammars.allows(held, "It rains.")
    assert not grammars.allows(held, "")


def test_several_calls_may_be_made_unless_they_are_told_not_to_be_parallel():
    both = f"{call('clock', '{}')}\n{call('clock', '{}')}"

    assert grammars.allows(grammar(tools=[CLOCK], tool_choice="required"), both)
    assert not grammars.allows(grammar(tools=[CLOCK], tool_choice="required", parallel_tool_calls=False), both)
    assert not grammars.allows(grammar(tools=[CLOCK], tool_choice=NAMED), both)


@pytest.mark.parametrize(
    "choice", [NAMED, {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}]
)
def test_a_named_call_is_of_that_function(choice):
    held = grammar(tools=[WEATHER, CLOCK], tool_choice=choice)

    assert grammars.allows(held, call("clock", "{}"))
    assert not grammars.allows(held, call("get_weather", '{"city":"Rome"}'))


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_a_function_that_lists_no_parameters_takes_none(parameters):
    tool = {"type": "function", "function": {"name": "clock", "parameters": parameters}}
    held = grammar(tools=[tool], tool_choice="required")

    assert grammars.allows(held, call("clock", "{}"))
    assert not grammars.allows(held, call("clock", '{"a":1}'))


def test_a_call_or_an_answer_in_the_form_may_come_where_both_are_offered():
    held = grammar(tools=[CLOCK], response_format=form(CLOSED))

    assert [grammars.allows(held, text) for text in ('{"a":1}', call("clock", "{}"), "Hello")] == [True, True, False]


def test_the_form_is_of_no_account_where_a_call_is_forced():
    held = grammar(tools=[CLOCK], tool_choice="required", response_format=form(CLOSED))

    assert [grammars.allows(held, text) for text in ('{"a":1}', call("clock", "{}"))] == [False, True]


def test_names_and_texts_of_a_schema_cannot_break_out_of_the_grammar():
    odd = 'a"\n# %json {"}\\n // \u2028é😀 <[2]> start: x'
    schema = {"type": "object", "properties": {odd: {"const": odd}}, "required": [odd], "additionalProperties": False}

    answer = json.loads(grammars.babble(grammar(response_format=form(schema)), 1))

    assert answer == {odd: odd}


@pytest.mark.parametrize(
    ("body", "message", "parameter"),
    [
        ({"tool_choice": "required"}, "cannot force a tool call: seen no tools", "tools"),
        (
            {"tools": [WEATHER], "tool_choice": NAMED},
            'cannot call "clock": it is not in tools. Add it, or name another.',
            "tool_choice",
        ),
        ({"response_format": form({"not": {}})}, 'this schema: Unimplemented keys: ["not"]. Leave', "response_format"),
        (
            {"response_format": form({"x-guidance": {"lenient": True}, "not": {}})},
            'this schema: Unimplemented keys: ["not"]',
            "response_format",
        ),
        ({"response_format": form({"type": "text"})}, "this schema: Invalid type: text.", "response_format"),
        ({"response_format": form({"$ref": "https://example.com/a.json"})}, "is not present", "response_format"),
        ({"response_format": form({"type": "string", "pattern": "(?=a)"})}, "look-around", "response_format"),
        ({"response_format": form({"enum": []})}, "Unsatisfiable schema", "response_format"),
        (
            {"response_format": form({"properties": {f"p{n}": {} for n in range(3000)}})},
            "this schema: grammar size (number of symbols) too big (limit for",
            "response_format",
        ),
        (
            {"response_format": form({"enum": ["a" * 70_000]})},
            "as a grammar it has 70195 bytes, at most 65536",
            "response_format",
        ),
        (
            {"response_format": form({"allOf": [{"multipleOf": 97}, {"items": [{"multipleOf": 0.0031}]}]})},
            "cannot hold numbers to 'multipleOf': all of a schema multiply to 3007",
            "response_format",
        ),
        (
            {
                "tools": [
                    CLOCK,
                    {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"not": {}}}}}},
                ],
                "tool_choice": "required",
            },
            'the parameters of "f": Unimplemented keys: ["not"]',
            "tools",
        ),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}],
                "tool_choice": NAMED | {"function": {"name": "f"}},
            },
            'cannot call "f": seen parameters of type "array", needed an object.',
            "tools",
        ),
    ],
)
def test_what_cannot_be_held_to_is_refused_before_anything_runs(body, message, parameter):
    with pytest.raises(RequestRefused) as refused:
        grammar(**body)

    assert message in str(refused.value)
    assert (refused.value.parameter, refused.value.status) == (parameter, 400)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("parser", "message"),
    [("laguna", "their tool format laguna has no grammar here"), (None, "they call no tools")],
)
def test_a_call_cannot_be_forced_of_weights_whose_format_is_not_known(parser, message):
    with pytest.raises(RequestRefused, match=message) as forced:
        grammar(parser, tools=[CLOCK], tool_choice="required")
    with pytest.raises(
        RequestRefused, match=r'response_format while tools may be called.*tool_choice "none"'
    ) as offered:
        grammar(parser, tools=[CLOCK], response_format=form(CLOSED))

    assert (forced.value.parameter, offered.value.parameter) == ("tool_choice", "response_format")
    assert grammar(parser, tools=[CLOCK], tool_choice="none", response_format=form(CLOSED)) is not None


def test_weights_that_answer_under_headers_cannot_be_held_to_a_form():
    with pytest.raises(RequestRefused, match="they write headers") as refused:
        grammar("muse_spark", response_format=form(CLOSED))

    assert refused.value.parameter == "response_format"
