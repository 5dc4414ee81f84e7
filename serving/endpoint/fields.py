"""Rules for one request field each: the check, and the JSON Schema of what passes it, side by side.

A check takes any JSON value but null and returns what goes upstream (None: nothing), or raises Needed. The schema is
what the endpoint's OpenAPI document says of the field; tests hold the two together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

Check = Callable[[Any], Any]
Schema = Mapping[str, Any]

MAX_STOPS: Final = 16
MAX_STOP_LENGTH: Final = 500
"""Of each in characters. mlx-lm builds an automaton over them on every rank."""

_SWITCHES: Final = ("clear_thinking", "enable_thinking", "preserve_thinking", "reasoning_effort", "thinking")


class Needed(Exception):
    """What a field needs to hold, worded to follow "needed"."""


@dataclass(frozen=True)
class Rule:
    """What a field may hold."""

    check: Check
    schema: Schema


def kept(check: Callable[[Any], None], schema: Schema) -> Rule:
    """A value that is kept as it is when the check lets it pass."""

    def checked(value: Any) -> Any:
        check(value)
        return value

    return Rule(checked, schema)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Needed("true or false")
    return value


FLAG: Final = Rule(_flag, {"type": "boolean"})
"""True or false, nothing like it."""

IGNORED: Final = Rule(lambda _: None, {})
"""A field without influence on the answer."""


def integer(low: int, high: int) -> Rule:
    """A whole number within bounds; 1.0 is 1, as JSON has it, and true is none."""

    def check(value: Any) -> int:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        if isinstance(whole, bool) or not isinstance(whole, int) or not low <= whole <= high:
            raise Needed(f"a whole number from {low} to {high}")
        return whole

    return Rule(check, {"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float, below: tuple[float, float] = (0, 0)) -> Rule:
    """A finite number within bounds. `below` (least, instead): what is less than `least` goes upstream as `instead`."""
    least, instead = below

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise Needed(f"a number from {low:g} to {high:g}")
        return instead if low <= value < least else value

    return Rule(check, {"type": "number", "minimum": low, "maximum": high})


def only(*values: object, why: str) -> Rule:
    """Nothing but these values, which mean what happens anyway."""

    def check(value: Any) -> None:
        # True is no 1, while 1.0 is one.
        if not any(value == allowed and isinstance(value, bool) == isinstance(allowed, bool) for allowed in values):
            raise Needed(f"{json.dumps(values[0])} or nothing: {why}")

    return Rule(check, {"enum": list(values)})


def nothing(why: str) -> Rule:
    """No value at all."""

    def check(_: Any) -> None:
        raise Needed(f"nothing: {why}")

    return Rule(check, {"type": "null"})


def _prompt(value: Any) -> str:
    texts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(texts) != 1 or not isinstance(texts[0], str) or not texts[0]:
        raise Needed("one text that is not empty; several prompts, or tokens in place of text, are not taken")
    return texts[0]


_TEXT: Final = {"type": "string", "minLength": 1}
PROMPT: Final = Rule(_prompt, {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1}]})
"""One text, alone or in a list: several in a list, or an empty one, end mlx-lm's loop."""


def _stop(value: Any) -> list[str] | None:
    texts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(texts) > MAX_STOPS or not all(isinstance(text, str) and text for text in texts):
        raise Needed(f"a text or a list of at most {MAX_STOPS} texts, none of them empty")
    if any(len(text) > MAX_STOP_LENGTH for text in texts):
        raise Needed(f"texts of at most {MAX_STOP_LENGTH} characters")
    return texts or None


_STOP_TEXT: Final = _TEXT | {"maxLength": MAX_STOP_LENGTH}
STOP: Final = Rule(_stop, {"anyOf": [_STOP_TEXT, {"type": "array", "items": _STOP_TEXT, "maxItems": MAX_STOPS}]})


def switches(names: tuple[str, ...], needed: str, *kinds: type) -> Rule:
    """An object of known switches only; one that is null is not set."""
    types = [{bool: "boolean", str: "string"}[kind] for kind in kinds]

    def check(value: Any) -> dict[str, Any] | None:
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else None
        if given is None:
            raise Needed(needed)
        on = {name: item for name, item in given.items() if item is not None}
        if not set(on) <= set(names) or not all(isinstance(item, kinds) for item in on.values()):
            raise Needed(needed)
        return on or None

    schema = {"type": "object", "properties": {name: {"type": [*types, "null"]} for name in names}}
    return Rule(check, schema | {"additionalProperties": {"type": "null"}})


STREAM_OPTIONS: Final = switches(("include_usage", "include_obfuscation"), '{"include_usage": true or false}', bool)

TEMPLATE_ARGUMENTS: Final = switches(_SWITCHES, f"an object with switches: {', '.join(_SWITCHES)}", bool, str)
"""Switches of the chat template; never the template itself, which mlx-lm would take and run."""
