"""No output can fool a fact: it returns what it declares, or it cannot tell. Nothing else ever comes out of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase

import operations.facts
from tests.operations.answers import printed
from tests.operations.facts.good import GOOD
from tests.operations.facts.shapes import fits

Lines = list[str]

NO_NUMBERS = (
    "",
    "-1",
    "9" * 40,
    "9" * 5000,
    "1e309",
    "NaN",
    "\u0663",
    "\u00b2",
    "zero",
    "null",
    "[]",
    "{}",
    "true",
    '"x"',
)
FORGED = ("@@", "@@ ", "@@ x", "@@ 0", "@@ 1", "@@ 127", "@@ -1", "@@ \u00b2", "@@ " + "9" * 5000, "@@ ports")
# Whatever a line of UTF-8 can hold: control characters, other alphabets, line separators; no lone surrogates.
GARBAGE = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=40),
    st.sampled_from((*FORGED, "{", "{}", "path", "job ", "directory ", "en0: flags=0<>", "\tinet 1")),
)
ATOM = re.compile(r'"[^"]*"|-?[0-9]+(?:\.[0-9]+)?|0x[0-9a-f]+|[A-Za-z_]+')
MARK = re.compile(r"@@ [0-9]+")


def every_fact() -> set[type[FactBase[Any]]]:
    """All facts there are, found by walking the package."""
    names = [module.name for module in pkgutil.iter_modules(operations.facts.__path__, "operations.facts.")]
    modules = [importlib.import_module(name) for name in names]
    classes = [kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)]
    return {kind for kind in classes if issubclass(kind, FactBase) and kind.__module__.startswith("operations.")}


def asked(kind: type[FactBase[Any]]) -> FactBase[Any]:
    """A fact whose command was made, as pyinfra does before it lets it read."""
    fact = kind()
    fact.command(**GOOD[kind][0])
    return fact


def holds(kind: type[FactBase[Any]], lines: Lines) -> None:
    """What every fact promises of every output."""
    try:
        value = asked(kind).process(lines)
    except FactProcessError as error:
        told = str(error)
    else:
        assert fits(value, get_type_hints(kind.process)["return"]), value
        return
    assert told.startswith("cannot ")
    assert told.isprintable()
    assert len(told) < 1000


@st.composite
def mangled(draw: st.DrawFn, good: Lines) -> Lines:
    """Good output after a few accidents."""
    lines = list(good)
    for _ in range(draw(st.integers(1, 4))):
        lines = draw(st.sampled_from(ACCIDENTS))(draw, lines) if lines else [draw(GARBAGE)]
    return lines


def _place(draw: st.DrawFn, lines: Lines) -> int:
    return draw(st.integers(0, len(lines) - 1))


def cut_short(draw: st.DrawFn, lines: Lines) -> Lines:
    return lines[: _place(draw, lines)]


def cut_within_a_line(draw: st.DrawFn, lines: Lines) -> Lines:
    place = _place(draw, lines)
    return [*lines[:place], lines[place][: draw(st.integers(0, len(lines[place])))]]


def without_a_line(draw: st.DrawFn, lines: Lines) -> Lines:
    place = _place(draw, lines)
    return lines[:place] + lines[place + 1 :]


def with_a_line_twice(draw: st.DrawFn, lines: Lines) -> Lines:
    line = lines[_place(draw, lines)]
    place = _place(draw, lines)
    return [*lines[:place], line, *lines[place:]]


def with_two_lines_swapped(draw: st.DrawFn, lines: Lines) -> Lines:
    one, other = _place(draw, lines), _place(draw, lines)
    swapped = list(lines)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    return swapped


def with_garbage(draw: st.DrawFn, lines: Lines) -> Lines:
    place = _place(draw, lines)
    return [*lines[:place], draw(GARBAGE), *lines[place:]]


def with_garbage_at_the_end_of_a_line(draw: st.DrawFn, lines: Lines) -> Lines:
    place = _place(draw, lines)
    return [*lines[:place], lines[place] + draw(GARBAGE), *lines[place + 1 :]]


def with_another_word(draw: st.DrawFn, lines: Lines) -> Lines:
    """A word, number or string is something else."""
    place = _place(draw, lines)
    atoms = list(ATOM.finditer(lines[place]))
    if not atoms:
        return lines
    atom = draw(st.sampled_from(atoms))
    changed = lines[place][: atom.start()] + draw(st.sampled_from(NO_NUMBERS)) + lines[place][atom.end() :]
    return [*lines[:place], changed, *lines[place + 1 :]]


def with_another_exit_code(draw: st.DrawFn, lines: Lines) -> Lines:
    ends = [place for place, line in enumerate(lines) if MARK.fullmatch(line)]
    if not ends:
        return lines
    place = draw(st.sampled_from(ends))
    return [*lines[:place], f"@@ {draw(st.sampled_from((0, 1, 56, 64, 113, 126, 127, 142, 255)))}", *lines[place + 1 :]]


ACCIDENTS = (
    cut_short,
    cut_within_a_line,
    without_a_line,
    with_a_line_twice,
    with_two_lines_swapped,
    with_garbage,
    with_garbage_at_the_end_of_a_line,
    with_another_word,
    with_another_exit_code,
)
FACTS = pytest.mark.parametrize("kind", sorted(GOOD, key=lambda kind: kind.name), ids=lambda kind: kind.__name__)
AT_LEISURE = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
ENDLESS = ("[" * 50_000, '{"a":' * 50_000, "7" * 50_000)


def test_every_fact_is_mangled():
    assert every_fact() == set(GOOD)


@FACTS
def test_a_good_answer_is_understood(kind):
    assert fits(asked(kind).process(printed(**GOOD[kind][1])), get_type_hints(kind.process)["return"])


@FACTS
@AT_LEISURE
@given(data=st.data())
def test_a_mangled_answer_is_understood_or_cannot_be_told(kind, data):
    holds(kind, data.draw(mangled(printed(**GOOD[kind][1]))))


@FACTS
@AT_LEISURE
@given(data=st.data())
def test_any_text_in_place_of_an_answer_is_understood_or_cannot_be_told(kind, data):
    texts = st.tuples(st.lists(GARBAGE, max_size=5).map("\n".join), st.sampled_from((0, 1, 126, 127, 142)))
    sections = {name: data.draw(texts) if data.draw(st.booleans()) else good for name, good in GOOD[kind][1].items()}
    holds(kind, printed(**sections))


@FACTS
@pytest.mark.parametrize("endless", ENDLESS, ids=("list", "object", "number"))
def test_what_never_ends_is_understood_or_cannot_be_told(kind, endless):
    for name in GOOD[kind][1]:
        holds(kind, printed(**GOOD[kind][1] | {name: endless}))


@FACTS
@AT_LEISURE
@given(lines=st.lists(GARBAGE, max_size=6))
def test_any_text_at_all_cannot_be_told(kind, lines):
    holds(kind, lines)


@FACTS
def test_an_answer_cut_short_anywhere_cannot_be_told(kind):
    whole = printed(**GOOD[kind][1])

    for end in range(len(whole)):
        with pytest.raises(FactProcessError):
            asked(kind).process(whole[:end])
