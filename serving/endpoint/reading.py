"""JSON from outside, read strictly: what passes here can be written, pickled and templated again without surprise.

Python's own reader takes UTF-16, NaN, names that come twice, and half a pair of surrogates. mlx-lm hands requests to
the other ranks by pickle, which deep nesting ends.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn, cast

MAX_DEPTH: Final = 48
"""How deep a request may nest; the schemas of tools are the deepest that clients send."""


def read(content: bytes | str) -> Any:
    """Any JSON value. Raises ValueError, which says what is wrong with it."""
    try:
        text = content.decode() if isinstance(content, bytes) else content
        value = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from error
    _require_sound(value, MAX_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read_as = dict(pairs)
    if len(read_as) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {json.dumps(twice[:80])} twice in one object")
    return read_as


def _require_sound(value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        _require_encodable(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is too large")
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            _require_encodable(name)
            _require_sound(item, depth - 1)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            _require_sound(item, depth - 1)


def _require_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds half a character, \\u{ord(text[error.start]):04x}") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
