"""Many facts in one round trip: each answers within marks of its own, and none can spoil another.

facts = {"mac": (Mac(), {}), "ports": (ThunderboltPorts(), {})}
apart(lines_printed_by(together(facts)), facts)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase

from operations.facts.reading import Asking, Bounded, beginning, in_one_perl, lines_of

Facts = Mapping[str, tuple[FactBase[Any], Mapping[str, Any]]]
"""By name a fact and the arguments of its command; the same mapping for asking and for reading."""

# Facts are told apart by their place in the mapping: their names may be paths.
_MARK = "@@@"
_MARKED = re.compile(rf"{_MARK} (\d{{1,4}})(?: ended (\d{{1,3}}))?")


def together(facts: Facts) -> str:
    """One shell command that asks all facts in turn, as far as can be in one process: each costs as much as it asks."""
    commands = list(enumerate(fact.command(**arguments) for fact, arguments in facts.values()))
    runs = groupby(commands, key=lambda placed: isinstance(placed[1], Asking))
    return "\n".join(_asked(list(run)) if is_ours else _shell(list(run)) for is_ours, run in runs) or ":"


def _asked(placed: list[tuple[int, Any]]) -> str:
    """Facts that ask in our own way, all in one perl."""
    marked: list[tuple[str, str | Bounded]] = []
    before = ""
    for place, asked in placed:
        outer = f"{before}{_MARK} {place}\n"
        for name, command in asked.commands.items():
            marked.append((f"{outer}{beginning(name)}", command))
            outer = ""
        before = f"\n{_MARK} {place} ended 0\n"
    return in_one_perl(tuple(marked), before.rstrip("\n"))


def _shell(placed: list[tuple[int, Any]]) -> str:
    return "\n".join(
        f'echo "{_MARK} {place}"; ( {command} ); code=$?; echo; echo "{_MARK} {place} ended $code"'
        for place, command in placed
    )


def apart(output: Iterable[str], facts: Facts) -> dict[str, Any]:
    """By name what each fact makes of its own part, or the FactProcessError that says why it makes nothing of it."""
    parts = _parts(output)
    return {name: _value(name, fact, parts.get(place)) for place, (name, (fact, _)) in enumerate(facts.items())}


def _value(name: str, fact: FactBase[Any], part: list[str] | None) -> Any:
    if part is None:
        return FactProcessError(f"cannot tell {name}: its answer is missing, or was cut short. Run it again.")
    try:
        return fact.process(part)
    except FactProcessError as error:
        return error


def _parts(output: Iterable[str]) -> dict[int, list[str] | None]:
    """The lines of each part by place; None for one that did not end well, or was begun twice."""
    parts: dict[int, list[str] | None] = {}
    begun = Counter[int]()
    place, lines = -1, list[str]()
    for line in lines_of(output):
        marked = _MARKED.fullmatch(line)
        if marked is None:
            lines.append(line)
        elif marked[2] is None:
            place, lines = int(marked[1]), []
            begun[place] += 1
        else:
            whole = int(marked[1]) == place and marked[2] == "0" and begun[place] == 1
            parts[int(marked[1])] = _without_last_break(lines) if whole else None
            place = -1
    return {place: part if begun[place] == 1 else None for place, part in parts.items()}


def _without_last_break(lines: list[str]) -> list[str]:
    """Before the end mark the shell breaks the line, for an answer that does not; elsewhere this gives an empty one."""
    return lines[:-1] if lines[-1:] == [""] else lines
