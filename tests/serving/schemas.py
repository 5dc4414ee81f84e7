"""Random JSON schemas and function signatures, the same for the same seed, and what is valid for them.

Nearly every one has a longest answer, so that small weights, which babble, come to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import jsonschema_rs

Schema = dict[str, Any]
NAMES = ("city", "count", "size", "colour", "is_open", "tags", "from", "größe", "a b", "x-1", "note", "at", "id")
WORDS = ("red", "green", "Paris", "a/b", 'say "hi"', "naïve", "日本", "\\", "tab\there", "", "null", "true", "42")
PATTERNS = ("^[a-z]{2,5}$", "^(yes|no)$", "^[A-Z][0-9]{3}$", "^a+b?c{0,3}d$")
FORMATS = ("date", "uuid", "ipv4")
"""Not those of times: the fraction of a second has no last digit."""


def schema(seed: int) -> Schema:
    """A schema of an object, as clients send them."""
    random = Random(seed)  # noqa: S311 - nothing secret
    wanted = _object(random, 0)
    if random.random() < 0.2:
        wanted["$defs"] = {"shared": _any(random, 1)}
        wanted["properties"]["shared"] = {"$ref": "#/$defs/shared"}
        wanted["required"] = [*wanted["required"], "shared"]
    return wanted


def function(seed: int) -> Schema:
    """A function signature, as an entry of `tools`."""
    random = Random(f"function {seed}")  # noqa: S311
    name = random.choice(("get_weather", "search", "set-size", "f", "Look_Up2", "a_rather_long_name_for_a_function"))
    described: Schema = {"name": f"{name}_{seed}", "description": "Does what it says."}
    if random.random() < 0.9:
        described["parameters"] = _object(random, 0)
    return {"type": "function", "function": described}


def is_valid(value: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether a schema allows a value, by another implementation than the one that made it."""
    return jsonschema_rs.Draft202012Validator(dict(wanted), validate_formats=True).is_valid(value)


def _any(random: Random, depth: int) -> Schema:
    makers: list[Callable[[Random, int], Schema]] = [_string, _string, _number, _number, _simple, _choice]
    if depth < 3:
        makers += [_object, _array, _union]
    return random.choice(makers)(random, depth)


def _object(random: Random, depth: int) -> Schema:
    names = random.sample(NAMES, random.randint(0 if depth else 1, 4))
    needed = [name for name in names if random.random() < 0.7]
    wanted: Schema = {
        "type": "object",
        "properties": {name: _any(random, depth + 1) for name in names},
        "required": needed,
        "additionalProperties": False,
    }
    if random.random() < 0.1:
        wanted["description"] = "All there is to know."
    return wanted


def _array(random: Random, depth: int) -> Schema:
    least = random.randint(0, 2)
    wanted: Schema = {"type": "array", "items": _any(random, depth + 1), "maxItems": least + random.randint(0, 2)}
    if random.random() < 0.2:
        return {**wanted, "prefixItems": [_simple(random, depth), _number(random, depth)], "minItems": 2, "maxItems": 3}
    return {**wanted, "minItems": least}


def _union(random: Random, depth: int) -> Schema:
    if random.random() < 0.3:
        kinds = [_tagged(random, tag, depth) for tag in ("circle", "square")]
        return {random.choice(("anyOf", "oneOf")): kinds}
    if random.random() < 0.3:
        return {"allOf": [{"type": "integer", "minimum": -7}, {"maximum": random.randint(0, 900)}]}
    return {"anyOf": [_any(random, depth + 1), random.choice([{"type": "null"}, _string(random, depth)])]}


def _tagged(random: Random, tag: str, depth: int) -> Schema:
    properties = {"kind": {"const": tag}, "of": _any(random, depth + 2)}
    return {"type": "object", "properties": properties, "required": ["kind", "of"], "additionalProperties": False}


def _string(random: Random, _: int) -> Schema:
    way = random.random()
    if way < 0.15:
        return {"type": "string", "pattern": random.choice(PATTERNS)}
    if way < 0.3:
        return {"type": "string", "format": random.choice(FORMATS)}
    if way < 0.4:
        return {"type": "string", "enum": random.sample(WORDS, 3)}
    least = random.randint(0, 4)
    return {"type": "string", "minLength": least, "maxLength": least + random.randint(0, 12)}


def _number(random: Random, _: int) -> Schema:
    low = random.randint(-1000, 1000)
    bounds = {"minimum": low, "maximum": low + random.randint(10, 5000)}
    way = random.random()
    if way < 0.3:
        return {"type": "number", "multipleOf": random.choice((0.5, 0.01)), **bounds}
    if way < 0.5:
        return {"type": "integer", "multipleOf": random.choice((2, 5, 10)), **bounds}
    return {"type": "integer", **bounds}


def _simple(random: Random, _: int) -> Schema:
    return random.choice(({"type": "boolean"}, {"type": "null"}, {"type": ["boolean", "null"]}))


def _choice(random: Random, _: int) -> Schema:
    if random.random() < 0.3:
        return {"const": random.choice((*WORDS, 7, None, [1, "a"], {"b": False}))}
    return {"enum": random.sample((*WORDS, 1, 2.5, None, True), 4)}
