"""How weights write tool calls, as grammars in llguidance's Lark: one for each format known here.

A grammar allows what mlx-lm 0.32.2's parser of that name reads back as the function and the arguments that were meant,
in the form the weights were trained to write, and nothing else.
Nothing keeps a text inside JSON from spelling the mark that ends its own call letter by letter, here as in mlx-lm; the
token itself cannot come there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from serving.endpoint import tool_texts
from serving.endpoint.writing import Function, Writing, json_of, literal
from serving.errors import RequestRefused


def calls(writing: Writing, functions: Sequence[Function], parallel: bool) -> str:
    """The rule `calls` and those it needs: a call of one of the functions, or several where they may be parallel.

    Raises RequestRefused.
    """
    rules = _FORMATS.get(writing.parser or "")
    if rules is None:
        seen = f"their tool format {writing.parser} has no grammar here" if writing.parser else "they call no tools"
        raise RequestRefused(
            f'cannot force a tool call with these weights: {seen}. Use tool_choice "auto".', "tool_choice"
        )
    return "\n".join(rules(writing, functions, parallel))


def _json_tools(writing: Writing, functions: Sequence[Function], parallel: bool) -> Iterable[str]:
    yield 'calls: call ("\\n" call)*' if parallel else "calls: call"
    yield f'call: {writing.mark("<tool_call>")} "\\n" object "\\n" {writing.mark("</tool_call>")}'
    yield from _objects(functions)


def _mistral(writing: Writing, functions: Sequence[Function], parallel: bool) -> Iterable[str]:
    start, follows = writing.mark("[TOOL_CALLS]"), writing.mark("[ARGS]")
    if "[ARGS]" not in writing.template:
        yield f'calls: {start} " "? "[" object {"(/, ?/ object)*" if parallel else ""} "]"'
        yield from _objects(functions)
        return
    yield f"calls: call{'+' if parallel else ''}"
    yield f"call: {start} ({_any_of('call', functions)})"
    for number, function in enumerate(functions):
        yield f"call_{number}: {literal(_plain(function.name))} {follows} {json_of(function.parameters)}"


def _kimi_k2(writing: Writing, functions: Sequence[Function], parallel: bool) -> Iterable[str]:
    start, end = writing.mark("<|tool_calls_section_begin|>"), writing.mark("<|tool_calls_section_end|>")
    begin, done = writing.mark("<|tool_call_begin|>"), writing.mark("<|tool_call_end|>")
    follows, more = writing.mark("<|tool_call_argument_begin|>"), _any_of("later", functions)
    yield f"calls: {start} ({_any_of('first', functions)}) {f'({more})*' if parallel else ''} {end}"
    for number, function in enumerate(functions):
        name = literal(f"functions.{_plain(function.name)}:")
        yield f'first_{number}: {begin} {name} "0" arguments_{number}'
        yield f"later_{number}: {begin} {name} /[1-9][0-9]?/ arguments_{number}"
        yield f"arguments_{number}: {follows} {json_of(function.parameters)} {done}"


def _qwen3_coder(writing: Writing, functions: Sequence[Function], parallel: bool) -> Iterable[str]:
    yield 'calls: call ("\\n" call)*' if parallel else "calls: call"
    start, end = writing.mark("<tool_call>"), writing.mark("</tool_call>")
    yield f'call: {start} "\\n" ({_any_of("call", functions)}) "</function>\\n" {end}'
    for number, function in enumerate(functions):
        head = literal(f"<function={_plain(function.name)}>\n")
        yield from tool_texts.qwen3_coder(writing, f"call_{number}", head, function)


def _glm47(writing: Writing, functions: Sequence[Function], parallel: bool) -> Iterable[str]:
    yield 'calls: call ("\\n" call)*' if parallel else "calls: call"
    start, end = writing.mark("<tool_call>"), writing.mark("</tool_call>")
    yield f"call: {start} ({_any_of('call', functions)}) {end}"
    for number, function in enumerate(functions):
        yield from tool_texts.glm47(writing, f"call_{number}", literal(_plain(function.name)), function)


def _objects(functions: Sequence[Function]) -> Iterable[str]:
    """The rule `object`: a call as one JSON object."""
    yield f"object: {_any_of('object', functions)}"
    for number, function in enumerate(functions):
        head = literal(f'{{"name": {json.dumps(function.name, ensure_ascii=False)}, "arguments": ')
        yield f'object_{number}: {head} arguments_{number} "}}"'
        yield f"arguments_{number}: {json_of(function.parameters)}"


def _any_of(rule: str, functions: Sequence[Function]) -> str:
    return " | ".join(f"{rule}_{number}" for number in range(len(functions)))


def _plain(name: str) -> str:
    if re.fullmatch(r"[\w-]+", name) is None:
        raise RequestRefused(
            f"cannot force a call of {json.dumps(name)[:80]} with these weights: their tool format needs a name of "
            "letters, digits, _ and -. Rename the function.",
            "tools",
        )
    return name


_FORMATS: Final[Mapping[str, Callable[[Writing, Sequence[Function], bool], Iterable[str]]]] = {
    "glm47": _glm47,
    "json_tools": _json_tools,
    "kimi_k2": _kimi_k2,
    "mistral": _mistral,
    "qwen3_coder": _qwen3_coder,
}
