"""The matrix as it is printed and kept."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from tests.faults.kinds import KINDS, closes
from tests.faults.scene import Place
from tests.faults.table import as_json, table, verdict
from tests.faults.test_judging import GOOD


def drawn(*rows: object) -> list[str]:
    console = Console(width=240)
    with console.capture() as shown:
        console.print(table(rows))  # type: ignore[arg-type]
    return shown.get().splitlines()[1:]


def test_a_fault_put_in_several_times_is_one_line_with_the_worst_of_its_seconds() -> None:
    (line,) = drawn(GOOD, replace(GOOD, noticed=4.5, answered=7), GOOD)
    words = line.split()

    assert words[:5] == ["rank-killed", "a", "mac-1", "3", "4.50"]
    assert str(GOOD.answered * 2 + 7) in words
    assert words[-1] == "held"


def test_one_bad_time_of_three_is_a_miss() -> None:
    bad = replace(GOOD, lost=1, losses=("endpoint: refused: 502",))

    assert drawn(GOOD, bad)[0].split()[-1] == "MISSED"
    assert verdict([GOOD, bad]) == ["MISSED: rank-killed at a mac-1: 1 lost (endpoint: refused: 502)"]


def test_every_trial_is_kept_with_what_it_missed() -> None:
    kept = json.loads(as_json([GOOD, replace(GOOD, overdue=2)]))

    assert [trial["missed"] for trial in kept] == [[], ["2 overdue"]]
    assert kept[0]["noticed"] == GOOD.noticed


def test_only_what_ends_closes_a_door() -> None:
    front, back, other = Place("a", 0), Place("a", 1), Place("b", 0)

    assert closes(KINDS["rank-killed"], front) == frozenset()
    assert closes(KINDS["agent-killed"], front) == {"endpoint"}
    assert closes(KINDS["agent-killed"], back) == frozenset()
    assert closes(KINDS["reboot"], front) == {"endpoint", "gateway"}
    assert closes(KINDS["reboot"], other) == {"endpoint"}
    assert closes(KINDS["gateway-killed"], other) == {"gateway"}
