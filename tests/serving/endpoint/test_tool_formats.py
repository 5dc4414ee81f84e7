import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from mlx_lm import tokenizer_utils
from mlx_lm.generate import TextStateMachine

from serving.endpoint import structure
from serving.endpoint.writing import tool_parser
from serving.errors import RequestRefused
from tests.serving import schemas
from tests.serving.endpoint import grammars
from tests.weights import PATH

HEADERS = "[ARGS]"
"""In the template of Mistral's newer weights."""
FORMATS = [
    ("json_tools", ""),
    ("mistral", ""),
    ("mistral", HEADERS),
    ("kimi_k2", ""),
    ("qwen3_coder", ""),
    ("glm47", ""),
]
IDS = ["json_tools", "mistral", "mistral with headers", "kimi_k2", "qwen3_coder", "glm47"]


def function(name: str, *required: str, **properties: Any) -> dict:
    parameters = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def grammar(parser: str, tools: list[dict], template: str = "", **body) -> str:
    return structure.grammar({"tools": tools, "tool_choice": "required", **body}, grammars.like(parser, template))


def read(parser: str, text: str, tools: list[dict]) -> list[dict]:
    """The calls that mlx-lm's server reads from an answer."""
    module = importlib.import_module(f"mlx_lm.tool_parsers.{parser}")
    ends = [(module.tool_call_end, "normal")] if module.tool_call_end else []
    machine = TextStateMachine({"normal": [(module.tool_call_start, "tool")], "tool": ends})
    _, segments = TextStateMachine.split(machine.make_state(), text)
    parsed = [module.parse_tool_call(said, tools) for state, said in segments if state == "tool"]
    return [call for each in parsed for call in (each if isinstance(each, list) else [each])]


F = function(
    "f",
    "text",
    text={"type": "string"},
    count={"type": "integer", "minimum": 0},
    flag={"type": "boolean"},
    of={"type": "array", "items": {"type": "number"}},
    colour={"type": "string", "enum": ["red", "null"]},
)
WRITTEN = [
    ("json_tools", "", '<tool_call>\n{"name": "f", "arguments": {"text": "a b", "count": 3}}\n</tool_call>'),
    ("mistral", "", '[TOOL_CALLS] [{"name": "f", "arguments": {"text": "a b", "count": 3}}]'),
    ("mistral", HEADERS, '[TOOL_CALLS]f[ARGS]{"text": "a b", "count": 3}'),
    (
        "kimi_k2",
        "",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>"
        '{"text": "a b", "count": 3}<|tool_call_end|><|tool_calls_section_end|>',
    ),
    (
        "qwen3_coder",
        "",
        "<tool_call>\n<function=f>\n<parameter=text>\na b\n</parameter>\n<parameter=count>\n3\n</parameter>\n"
        "</function>\n</tool_call>",
    ),
    (
        "glm47",
        "",
        "<tool_call>f\n<arg_key>text</arg_key>\n<arg_value>a b</arg_value>\n<arg_key>count</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call>",
    ),
    (
        "glm47",
        "",
        "<tool_call>f<arg_key>text</arg_key><arg_value>a b</arg_value><arg_key>count</arg_key><arg_value>3</arg_value>"
        "</tool_call>",
    ),
]


@pytest.mark.parametrize(("parser", "template", "text"), WRITTEN)
def test_what_weights_are_trained_to_write_is_allowed_and_read_back(parser, template, text):
    (call,) = read(parser, text, [F])

    assert (call["name"], call["arguments"]) == ("f", {"text": "a b", "count": 3})
    assert grammars.allows(grammar(parser, [F], template), text)


@pytest.mark.parametrize(("parser", "template", "text"), WRITTEN)
def test_what_lacks_a_required_parameter_or_its_type_is_not_allowed(parser, template, text):
    held = grammar(parser, [F], template)

    assert not grammars.allows(held, text.replace("text", "texts"))
    assert not grammars.allows(held, text.replace("3", "-3"))
    assert not grammars.allows(held, text.replace("3", "three"))
    assert not grammars.allows(held, f"{text}!")
    assert not grammars.allows(held, f"Well. {text}")


@pytest.mark.parametrize(("parser", "template"), FORMATS, ids=IDS)
def test_every_call_of_random_functions_is_read_back_valid(parser, template):
    held = 0
    for seed in range(50):
        tools = [schemas.function(seed), schemas.function(seed + 900)]
        wanted = {each["function"]["name"]: each["function"].get("parameters", {"maxProperties": 0}) for each in tools}
        try:
            rules = grammar(parser, tools, template, parallel_tool_calls=False)
        except RequestRefused:
            continue
        held += 1
        (call,) = read(parser, grammars.babble(rules, seed), tools)
        assert schemas.is_valid(call["arguments"], wanted[call["name"]]), (seed, call)
    assert held == 50 if parser in ("json_tools", "mistral", "kimi_k2") else 5 < held < 50


def value(parser: str, text: str) -> str:
    if parser == "glm47":
        return f"<tool_call>f<arg_key>text</arg_key><arg_value>{text}</arg_value></tool_call>"
    return f"<tool_call>\n<function=f>\n<parameter=text>\n{text}\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize("text", ["", "nulls", "5", '{"a": 1}', "a\n\nb", "<b>", "</para", "true", "[1]", "naïve"])
@pytest.mark.parametrize("parser", ["qwen3_coder", "glm47"])
def test_a_bare_text_is_allowed_and_read_back_as_text(parser, text):
    assert read(parser, value(parser, text), [F])[0]["arguments"] == {"text": text}
    assert grammars.allows(grammar(parser, [F]), value(parser, text))


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        *(("qwen3_coder", text) for text in ("null", "NULL", "a</parameter>b", "a\n</parameter>\nb")),
        *(("glm47", text) for text in (" a", "a\n", "a</arg_value>b")),
    ],
)
def test_a_bare_text_that_would_be_read_as_something_else_is_not_allowed(parser, text):
    assert read(parser, value(parser, text), [F])[0]["arguments"] != {"text": text}
    assert not grammars.allows(grammar(parser, [F]), value(parser, text))


@pytest.mark.parametrize(
    ("parser", "schema", "message"),
    [
        ("qwen3_coder", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "it has no single 'type'. Give it one"),
        ("qwen3_coder", {"type": ["string", "null"]}, "it has no single 'type'"),
        ("qwen3_coder", {"type": "string", "pattern": "a"}, "a text cannot be held to its 'pattern'"),
        ("glm47", {"type": "string", "format": "date"}, "a text cannot be held to its 'format'"),
        ("glm47", {"type": "string", "minLength": "1"}, "a text cannot be held to its 'length'"),
        ("qwen3_coder", {"type": "string", "enum": ["null"]}, "none of its choices can be written so"),
        ("qwen3_coder", {"type": "string", "enum": 5}, "none of its choices can be written so"),
        ("qwen3_coder", True, "it has no single 'type'"),
    ],
)
def test_a_parameter_that_bare_text_cannot_carry_is_refused(parser, schema, message):
    with pytest.raises(RequestRefused) as refused:
        grammar(parser, [function("f", a=schema)])

    assert "cannot force a call of 'f' with these weights: " in str(refused.value)
    assert message in str(refused.value)
    assert refused.value.parameter == "tools"


@pytest.mark.parametrize("parser", ["qwen3_coder", "glm47", "kimi_k2"])
def test_a_name_that_would_be_read_as_markup_is_refused(parser):
    with pytest.raises(RequestRefused, match="needs a name of letters, digits, _ and -"):
        grammar(parser, [function("f>")])


def test_any_name_can_be_called_where_calls_are_json():
    name = 'say "hi" \\ naïve\n😀'

    answer = grammars.babble(grammar("json_tools", [function(name)], parallel_tool_calls=False), 1)

    assert json.loads(answer.removeprefix("<tool_call>").removesuffix("</tool_call>"))["name"] == name


@pytest.mark.parametrize(("parser", "template"), FORMATS, ids=IDS)
def test_several_calls_are_read_back_one_by_one(parser, template):
    tools = [function("f"), function("g")]
    held = grammar(parser, tools, template)

    answers = [grammars.babble(held, seed) for seed in range(40)]
    calls = [[call["name"] for call in read(parser, answer, tools)] for answer in answers]

    assert min(map(len, calls)) >= 1
    assert max(map(len, calls)) > 1
    assert {name for names in calls for name in names} == {"f", "g"}


def test_the_format_is_the_one_that_mlx_lm_chooses():
    tokenizer = tokenizer_utils.load(Path(PATH))
    parser = tool_parser(tokenizer._tokenizer, tokenizer_utils._infer_tool_parser)

    assert importlib.import_module(f"mlx_lm.tool_parsers.{parser}").parse_tool_call is tokenizer.tool_parser


@pytest.mark.parametrize(
    ("told", "default", "parser"), [("glm47", "a", "glm47"), (None, "a", "a"), (None, None, "inferred")]
)
def test_the_format_that_weights_name_comes_before_what_is_inferred(told, default, parser):
    class Tokenizer:
        init_kwargs = {"tool_parser_type": told} if told else {}

    assert tool_parser(Tokenizer(), lambda _: "inferred", default) == parser
