"""Dates and times in JSON schemas, as narrow as RFC 3339 has them.

llguidance 1.9.1 lets every year have a 29th of February and every minute a 60th second. A pattern beside the format
forbids the days that are none, and with them all leap seconds: which minutes had one is in no grammar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

_LEAP_YEAR: Final = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY: Final = rf"(?:[0-9]{{4}}-(?:(?:0[13-9]|1[0-2])-[0-9]{{2}}|02-(?:[01][0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
_TIME: Final = "[0-9]{2}:[0-9]{2}:[0-5][0-9]"
_PATTERNS: Final = {"date": f"^{_DAY}$", "time": f"^{_TIME}", "date-time": f"^{_DAY}[Tt ]{_TIME}"}

_BY_NAME: Final = {"properties", "patternProperties", "$defs", "definitions"}
"""Keywords whose values are schemas under names that somebody chose."""
_VALUES: Final = {"const", "enum", "default", "examples"}
"""Keywords whose values are no schemas."""


def narrowed(schema: Any) -> Any:
    """The schema with a pattern wherever it has a format of a date or time."""
    if isinstance(schema, list):
        return [narrowed(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    held = {name: _under(name, value) for name, value in cast("dict[str, Any]", schema).items()}
    told = held.get("format")
    pattern = _PATTERNS.get(told) if isinstance(told, str) else None
    return held if pattern is None else _with_pattern(held, pattern)


def _under(keyword: str, value: Any) -> Any:
    if keyword in _VALUES:
        return value
    if keyword in _BY_NAME and isinstance(value, dict):
        return {name: narrowed(each) for name, each in cast("dict[str, Any]", value).items()}
    return narrowed(value)


def _with_pattern(schema: Mapping[str, Any], pattern: str) -> dict[str, Any]:
    if "pattern" not in schema:
        return {**schema, "pattern": pattern}
    others = schema.get("allOf", [])
    if not isinstance(others, list):
        return dict(schema)  # as it is no schema, its compiler says so
    return {**schema, "allOf": [*cast("list[Any]", others), {"pattern": pattern}]}
