"""Dates and times that an answer may have under a format, beside what another implementation of JSON Schema says."""

from __future__ import annotations

import json

import pytest

from serving.endpoint import structure
from serving.endpoint.moments import narrowed
from serving.errors import RequestRefused
from tests.serving import schemas
from tests.serving.endpoint import grammars

DAYS = [
    *("2024-02-29", "2000-02-29", "0000-02-29", "1996-02-29", "2023-02-28", "2023-12-31", "0714-03-01"),
    *("2023-02-29", "1900-02-29", "0714-02-29", "2100-02-29", "2024-02-30", "2023-04-31", "2023-00-10", "2023-01-00"),
]


def is_allowed(schema: dict, text: str) -> bool:
    held = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}
    return grammars.allows(structure.grammar({"response_format": held}, grammars.like("json_tools")), json.dumps(text))


@pytest.mark.parametrize("day", DAYS)
def test_a_date_is_a_day_that_there_is(day: str):
    schema = {"type": "string", "format": "date"}

    assert is_allowed(schema, day) == schemas.is_valid(day, schema)


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("time", ["T10:59:59.123Z", "t00:00:00+14:00", "T24:00:00Z", "T10:60:00Z", "T10:00:00"])
def test_a_moment_is_on_a_day_that_there_is(day: str, time: str):
    schema = {"type": "string", "format": "date-time"}

    assert is_allowed(schema, day + time) == schemas.is_valid(day + time, schema)


@pytest.mark.parametrize(("kind", "text"), [("time", "10:59:60Z"), ("date-time", "2024-01-01T10:59:60Z")])
def test_no_minute_has_a_leap_second(kind: str, text: str):
    assert not is_allowed({"type": "string", "format": kind}, text)
    assert is_allowed({"type": "string", "format": kind}, text.replace(":60", ":59"))


def test_a_pattern_of_the_clients_own_holds_as_well():
    schema = {"type": "string", "format": "date", "pattern": "^20", "allOf": [{"minLength": 10}]}

    assert [is_allowed(schema, day) for day in ("2024-02-29", "2023-02-29", "1996-02-29")] == [True, False, False]


@pytest.mark.parametrize("wrong", [5, None, True, "all", {"pattern": "^20"}, [5]])
def test_what_cannot_be_compiled_is_refused_beside_a_pattern_too(wrong: object):
    with pytest.raises(RequestRefused, match=r"allOf must be an array|schema must be an object or boolean"):
        is_allowed({"type": "string", "format": "date", "pattern": "^20", "allOf": wrong}, "2024-02-29")


def test_dates_are_found_wherever_a_schema_may_be():
    date = {"type": "string", "format": "date"}
    schema = {
        "properties": {"format": date, "const": {"anyOf": [date, {"items": date}]}},
        "additionalProperties": date,
        "$defs": {"day": date},
    }
    told = json.dumps(narrowed(schema))

    assert told.count('"pattern"') == told.count('"date"') == 5


def test_what_is_no_schema_stays_as_it_is():
    day = {"format": "date"}
    schema = {"const": day, "enum": [day], "default": day, "examples": [day], "minimum": 1, "format": ["date"]}

    assert narrowed(schema) == schema
