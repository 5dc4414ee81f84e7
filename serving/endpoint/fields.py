"""Checks of one request field each: what goes upstream, or what is needed instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

Check = Callable[[Any], Any]
"""Takes any JSON value; returns what goes upstream (None: nothing), or raises Needed."""

_SWITCHES = {"enable_thinking", "thinking", "reasoning_effort"}


class Needed(Exception):
    """What a field needs to hold, worded to follow "needed"."""


def flag(value: Any) -> bool:
    """True or false, nothing like it."""
    if not isinstance(value, bool):
        raise Needed("true or false")
    return value


def integer(low: int, high: int) -> Check:
    """A whole number within bounds; true and 1.0 are none."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Needed(f"a whole number from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Check:
    """A finite number within bounds."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise Needed(f"a number from {low:g} to {high:g}")
        return value

    return check


def only(*values: object, why: str) -> Check:
    """Nothing but these values, which mean what happens anyway."""

    def check(value: Any) -> None:
        if not any(value == allowed and type(value) is type(allowed) for allowed in values):
            raise Needed(f"{json.dumps(values[0])} or nothing: {why}")

    return check


def ignored(_: Any) -> None:
    """A field without influence on the answer."""


def prompt(value: Any) -> str:
    """One text; mlx-lm takes neither lists nor token numbers."""
    if not isinstance(value, str) or not value.strip():
        raise Needed("one text that is not empty")
    return value


def stop(value: Any) -> list[str]:
    """One to sixteen texts."""
    texts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not 1 <= len(texts) <= 16 or not all(isinstance(text, str) and text for text in texts):
        raise Needed("a text or a list of at most 16 texts, none of them empty")
    return texts


def stream_options(value: Any) -> None:
    """Only include_usage is known."""
    options = _object(value)
    if options is None or not set(options) <= {"include_usage"} or not _all(options, bool):
        raise Needed('{"include_usage": true or false}')


def template_arguments(value: Any) -> dict[str, Any]:
    """Switches of the chat template; never the template itself."""
    switches = _object(value)
    if switches is None or not set(switches) <= _SWITCHES or not _all(switches, bool, str):
        raise Needed(f"an object with switches: {', '.join(sorted(_SWITCHES))}")
    return switches


def _object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _all(values: Mapping[str, Any], *kinds: type) -> bool:
    return all(isinstance(value, kinds) for value in values.values())
