from __future__ import annotations

import codecs
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.endpoint.reading import MAX_DEPTH, read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not JSON"),
        (b"{} {}", "it is not JSON: Extra data"),
        (b"{'a': 1}", "it is not JSON"),
        (b'{"a": "\x01"}', "it is not JSON: Invalid control character"),
        (codecs.BOM_UTF8 + b"{}", "BOM"),
        ('{"a": 1}'.encode("utf-16"), "it is not UTF-8 at byte 0"),
        (b'{"a": "\xff"}', "it is not UTF-8 at byte 7"),
        (b'{"a": 1, "b": 2, "a": 3}', 'it has "a" twice in one object'),
        (b'[{"b": {"c": 1, "c": 1}}]', 'it has "c" twice in one object'),
        (b"NaN", "NaN is no JSON"),
        (b"[-Infinity]", "-Infinity is no JSON"),
        (b"[1e400]", "it holds a number that is too large"),
        (b'["\\ud800"]', "it holds half a character, \\ud800"),
        (b'{"\\udfff": 1}', "it holds half a character, \\udfff"),
        (b"[" * 100_000, f"it is nested more than {MAX_DEPTH} deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"it is nested more than {MAX_DEPTH} deep"),
    ],
)
def test_what_cannot_be_handed_on_is_told(content: bytes, said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        read(content)


def test_nesting_is_allowed_to_its_limit():
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    assert json.dumps(read(deep)).encode() == deep


def test_escaped_control_characters_are_text():
    assert read(b'["\\u0000\\u001b[0m"]') == ["\x00\x1b[0m"]


@settings(deadline=None)
@given(JSON)
def test_what_is_read_is_what_was_written(value: Any):
    assert read(json.dumps(value)) == value


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes):
    try:
        value = read(content)
    except ValueError:
        return

    assert read(json.dumps(value)) == value
