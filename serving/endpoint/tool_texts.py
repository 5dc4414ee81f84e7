"""Tool formats that write each argument as text between marks: qwen3_coder's and glm47's.

Their parsers in mlx-lm 0.32.2 tell types by the schema's `type` and guess where there is not one; a guess can turn the
text "5" into a number and "null" into nothing. So what would be read as something else is not allowed, and a parameter
whose type cannot be told is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from serving.endpoint.writing import Function, Schema, Writing, json_of, literal
from serving.errors import RequestRefused

_NUMBERS: Final = 10**15
"""qwen3_coder's parser reads numbers by way of a double, which keeps no more digits and fails when it overflows."""
_LONGEST: Final = 100_000
"""Characters; a text that may be longer is not limited. Counting them takes a state for each."""
_DEFINITIONS: Final = {"$defs", "definitions"}
_SAID: Final = {"title", "description", "default", "examples", "$schema", "$comment", "deprecated"}
"""Keywords that forbid nothing."""
_OBJECT: Final = {"type", "properties", "required", "additionalProperties"} | _DEFINITIONS | _SAID
_TEXT: Final = {"type", "enum", "const", "minLength", "maxLength"} | _SAID


@dataclass(frozen=True)
class _Parameter:
    """One parameter of a function; `rule` is the name of its value's rule."""

    function: Function
    name: str
    schema: Schema
    needed: bool
    rule: str

    @property
    def kind(self) -> Any:
        return self.schema.get("type")

    def json(self, **bounds: int) -> str:
        """Its value as JSON; what it refers to comes with it."""
        whole = self.function.parameters
        return json_of({**bounds, **{name: whole[name] for name in _DEFINITIONS & set(whole)}, **self.schema})

    def refused(self, seen: str, advice: str) -> RequestRefused:
        """What is wrong with it."""
        return RequestRefused(
            f"cannot force a call of '{self.function.name}' with these weights: their tool format writes parameter "
            f'{json.dumps(self.name)[:80]} as bare text, and {seen}. {advice}, or use tool_choice "auto".',
            "tools",
        )


def qwen3_coder(writing: Writing, rule: str, head: str, function: Function) -> Iterable[str]:
    """The rule of one call: `<parameter=NAME>`, the value and `</parameter>`, each on lines of its own."""
    parts, end = [head], "\n</parameter>"
    for each in _parameters(rule, function):
        if each.kind == "string":
            yield from _text(writing, each, end, misread="(?i:null)")
        elif each.kind in ("integer", "number"):
            bounds = {} if {"enum", "const"} & set(each.schema) else _bounds(each.schema)
            yield f"{each.rule}: {each.json(**bounds)} {literal(end)}"
        elif each.kind in ("boolean", "object", "array", "null"):
            yield f"{each.rule}: {each.json()} {literal(end)}"
        else:
            raise each.refused("it has no single 'type'", "Give it one")
        start = literal(f"<parameter={each.name}>\n")
        parts.append(f'({start} {each.rule} "\\n"){"" if each.needed else "?"}')
    yield f"{rule}: {' '.join(parts)}"


def glm47(writing: Writing, rule: str, head: str, function: Function) -> Iterable[str]:
    """The rule of one call: pairs of `<arg_key>` and `<arg_value>`; all but texts are JSON."""
    key, key_end = writing.mark("<arg_key>"), writing.mark("</arg_key>")
    start, end = writing.mark("<arg_value>"), "</arg_value>"
    parts = [head, '"\\n"?']
    for each in _parameters(rule, function):
        if each.kind == "string":
            yield from _text(writing, each, end, misread=r"\s(?s:.*)|(?s:.*)\s")  # blanks around it would be lost
        else:
            yield f"{each.rule}: {each.json()} {writing.mark(end)}"
        part = f'{key} {literal(each.name)} {key_end} "\\n"? {start} {each.rule} "\\n"?'
        parts.append(f"({part}){'' if each.needed else '?'}")
    yield f"{rule}: {' '.join(parts)}"


def _parameters(rule: str, function: Function) -> Iterable[_Parameter]:
    whole = function.parameters
    needed = _listed(whole.get("required"))
    properties = cast("dict[str, Any]", whole.get("properties", {}))
    for number, (name, schema) in enumerate(properties.items()):
        given: Schema = cast("Schema", schema) if isinstance(schema, dict) else {}
        parameter = _Parameter(function, name, given, name in needed, f"{rule}_{number}")
        unknown = sorted(set(whole) - _OBJECT)
        if unknown:
            raise parameter.refused(f"all of them cannot be held to '{unknown[0]}'", "Leave it out")
        if not set(needed) <= set(properties):
            raise parameter.refused("'required' names others that 'properties' does not", "Describe them")
        if re.fullmatch(r"[^\s<>]+", name) is None:
            raise parameter.refused("its name has blanks, < or >", "Rename it")
        yield parameter


def _text(writing: Writing, parameter: _Parameter, end: str, misread: str) -> Iterable[str]:
    """The rules of a bare text and the mark that ends it; `misread` matches what the parser takes for another text."""
    rule, schema, mark = parameter.rule, parameter.schema, writing.mark(end)
    unknown = sorted(set(schema) - _TEXT)
    low, high = schema.get("minLength", 0), schema.get("maxLength", _LONGEST)
    if unknown or not isinstance(low, int) or not isinstance(high, int):
        raise parameter.refused(f"a text cannot be held to its '{[*unknown, 'length'][0]}'", "Leave that out")
    if {"enum", "const"} & set(schema):
        yield f"{rule}: ({' | '.join(map(literal, _choices(parameter, end, misread)))}) {mark}"
        return
    alone = end in writing.marks
    # A mark of letters is one terminal with its text: two would not know where the first of them ends.
    tail, more = ("", "*") if alone else (_regex(end), "+")
    never = (f"(?s:.*){_regex(end.strip())}(?s:.{more})", r"(?s:.*)<\/tool_call>(?s:.*)", f"({misread}){tail}")
    body = f"(?s:.{{{max(low, 1) if alone else low},{high if high < _LONGEST else ''}}})"
    yield f"{rule}: {rule.upper()}{'?' if alone and low == 0 else ''} {mark if alone else ''}"
    yield f"{rule.upper()}: /{body}{tail}/ {' '.join(f'& ~/{regex}/' for regex in never)}"


def _choices(parameter: _Parameter, end: str, misread: str) -> list[str]:
    schema = parameter.schema
    listed = _listed(schema.get("enum", [schema.get("const")]))
    texts = [text for text in listed if isinstance(text, str) and schema.get("const", text) == text]
    kept = [text for text in texts if end.strip() not in text and re.fullmatch(misread, text) is None]
    if not kept:
        raise parameter.refused("none of its choices can be written so", "Change them")
    return kept


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _bounds(schema: Schema) -> dict[str, int]:
    lowest = {} if {"minimum", "exclusiveMinimum"} & set(schema) else {"minimum": -_NUMBERS}
    highest = {} if {"maximum", "exclusiveMaximum"} & set(schema) else {"maximum": _NUMBERS}
    return lowest | highest


def _regex(text: str) -> str:
    return text.replace("/", r"\/").replace("\n", r"\n")
