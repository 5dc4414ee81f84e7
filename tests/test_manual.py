"""inventories/lab.py is the manual: whatever can be declared is there, with a comment that says what it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from serving.cluster import Cluster
from serving.declared import Declared

LINES = (Path(__file__).parents[1] / "inventories" / "lab.py").read_text().splitlines()


def fields(kind: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and name of every field of a declaration and of the parts in it."""
    for name, field in kind.model_fields.items():
        yield f"{path}{name}", name
        for part in parts(field.annotation):
            yield from fields(part, f"{path}{name}/")


def parts(annotation: Any) -> set[type[Declared]]:
    """The kinds of part that an annotation speaks of, however deep within it."""
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return {annotation}
    return {part for argument in get_args(annotation) for part in parts(argument)}


FIELDS = dict(sorted(fields(Cluster)))


def explained(name: str) -> bool:
    """Whether a line gives the field, below a comment with nothing but other fields between."""
    for number, line in enumerate(LINES):
        if re.search(rf'("{name}": |^\s*{name}=)', line):
            above = LINES[number::-1]
            unlike_a_field = next(each for each in above if not re.match(r'\s*("\w+": |\w+=)', each))
            if unlike_a_field.lstrip().startswith("#"):
                return True
    return False


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_in_the_manual_with_a_comment(path: str):
    # The other kind of Python is told in the comment of the one that is shown; links have but one field.
    assert explained(FIELDS[path]) or path in ("links/between", "python/path")
