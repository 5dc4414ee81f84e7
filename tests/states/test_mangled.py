"""However outputs are mangled, a bad lab never looks well, and a good one looks the same or tells an error."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.states.lab import Lab, Output, studios, unharmed
from tests.states.reading import FACTS, looked, printed, verdict
from tests.states.test_states import STATES

BAD = {name: row.lab for name, row in STATES.items() if any(severity != "note" for _, _, severity, _ in row.told)}
ONE_LINE = {
    "a loop that nobody declared",
    "a second cable between two Macs",
    "no restart after a power cut",
    "no wake on network",
    "the right address after another one",
    "IPv6 first",
    "an address of the cables' network on something else",
    "the address of another cable on a free Thunderbolt port",
}
"""States that one line tells of, or one at each end of a cable: without it a Mac prints what a good one may print."""

KILLED = 128 + 9
Piece = tuple[str, str, int]
GOOD = studios(2)
SEEN = looked(GOOD)
ends = st.floats(0, 1)


def fails(lab: Lab, **mangling: Callable[..., object]) -> list[str]:
    """What is told of a lab that does not let it pass for well."""
    return [f.severity for f in verdict(lab, looked(lab, **mangling)) if f.severity != "note"]


def cut_at(share: float, text: str) -> str:
    return text[: round(share * len(text))]


def test_the_states_of_one_line_are_in_the_table():
    assert BAD.keys() >= ONE_LINE


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(BAD)), st.dictionaries(st.sampled_from(sorted(FACTS)), ends, min_size=1), st.booleans())
def test_a_bad_lab_whose_answers_are_cut_short_never_looks_well(name: str, cuts: dict[str, float], everywhere: bool):
    def cut(machine: str, subject: str, lines: list[str]) -> list[str]:
        hit = subject in cuts and (everywhere or machine == "m1")
        return cut_at(cuts[subject], "\n".join(lines)).splitlines() if hit else lines

    assert fails(BAD[name], cut=cut)


def evidence(lab: Lab) -> list[Piece]:
    """Every line that the Macs of a lab would not print if nothing were wrong: machine, command, place."""
    good = printed(unharmed(lab))
    return [
        (*where, place)
        for where, text in printed(lab).items()
        for place, line in enumerate(text.splitlines())
        if line not in good.get(where, "").splitlines()
    ]


EVIDENCE = [(name, piece) for name, lab in BAD.items() if name not in ONE_LINE for piece in evidence(lab)]
WAYS: dict[str, Callable[[list[str], int], list[str]]] = {
    "drop": lambda lines, place: [*lines[:place], *lines[place + 1 :]],
    "repeat": lambda lines, place: [*lines[:place], *lines[place : place + 1] * 2, *lines[place + 1 :]],
    "cut": lambda lines, place: lines[:place],
    "empty": lambda *_: [],
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(EVIDENCE), st.sampled_from(sorted(WAYS)), st.dictionaries(st.integers(0, 60), st.integers(0, 99))
)
def test_a_bad_lab_whose_outputs_lose_or_repeat_lines_never_looks_well(
    told: tuple[str, Piece], way: str, others: dict[int, int]
):
    name, (machine, command, place) = told
    calls = count()

    def mangle(where: str, asked: str, said: Output) -> Output:
        hit = place if (where, asked) == (machine, command) else others.get(next(calls))
        lines = said[0].splitlines(keepends=True)
        return said if hit is None else ("".join(WAYS[way](lines, hit % (len(lines) or 1))), said[1])

    assert fails(BAD[name], mangle=mangle)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(FACTS)), ends)
def test_a_good_lab_whose_answer_is_cut_short_is_seen_as_it_is_or_an_error(subject: str, share: float):
    def cut(machine: str, here: str, lines: list[str]) -> list[str]:
        return cut_at(share, "\n".join(lines)).splitlines() if (machine, here) == ("m1", subject) else lines

    seen = looked(GOOD, cut=cut)

    assert seen == SEEN or "error" in [finding.severity for finding in verdict(GOOD, seen)]


@pytest.mark.parametrize("command", sorted({command for _, command in printed(GOOD)}))
def test_a_command_that_dies_while_it_prints_is_an_error(command: str):
    def mangle(machine: str, here: str, printed: Output) -> Output:
        return (cut_at(0.5, printed[0]), KILLED) if (machine, here) == ("m1", command) else printed

    assert "error" in fails(GOOD, mangle=mangle)
