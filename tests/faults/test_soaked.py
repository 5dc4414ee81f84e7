"""What a soak comes to."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.faults.memory import Trend
from tests.faults.records import Request
from tests.faults.soaked import BAD, Strike, Told, outcome, tally
from tests.faults.traffic import Expected, all_questions, draw

STRIKE = Strike("agent-killed", "a", 100, frozenset({"endpoint"}), ended=110)


def told(ending: str, *, expected: Expected = "answer", replica: str | None = "a", **more: Any) -> Told:
    seen = {"door": "endpoint", "began": 99.0, "ended": 101.0, "ending": ending, **more}
    return Told(expected, replica, Request(**seen))


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - nothing secret is drawn


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (told("answered"), "answered"),
        (told("left", expected="nothing"), "left"),
        (told("answered", expected="nothing"), "answered"),
        (told("refused", said="503 not ready"), "lost"),
        (told("broken off"), "lost"),
        (told("altered"), "altered"),
        (told("overdue"), "overdue"),
        (told("disconnected"), "cut off"),
        (told("disconnected", replica="b"), "lost"),
        (told("disconnected", began=111.0, ended=112.0), "lost"),
        (told("disconnected", door="gateway", replica=None), "lost"),
        (told("refused", expected="refusal", said="400 stop"), "refused as poison"),
        (told("refused", expected="refusal", said="503 not ready"), "poison passed"),
        (told("answered", expected="refusal"), "poison passed"),
    ],
)
def test_every_request_is_one_of_a_few_things(seen: Told, what: str) -> None:
    assert outcome(seen, [STRIKE]) == what


def test_who_is_cut_off_by_a_fault_still_under_way_is_not_lost() -> None:
    under_way = Strike("agent-killed", "a", 100, frozenset({"endpoint"}))

    assert outcome(told("disconnected", began=500.0, ended=501.0), [under_way]) == "cut off"


def test_a_good_soak_misses_nothing() -> None:
    soaked = tally([told("answered"), told("disconnected")], [STRIKE], [Trend("mac-1", "rank", 150, 2)])

    assert soaked.missed() == []
    assert (soaked.counts["answered"], soaked.counts["cut off"], soaked.faults["agent-killed"]) == (1, 1, 1)


def test_a_bad_one_says_what_and_quotes_what_clients_were_told() -> None:
    gone = Strike("reboot", "b", 0, frozenset(), ended=1, back=False)
    soaked = tally([told("refused", said="502 gone")], [gone], [Trend("mac-1", "rank", 150, 40)])

    assert soaked.missed() == [
        "1 lost (endpoint: lost: 502 gone)",
        "not ready again after reboot at b",
        "rank on mac-1 grew by 40 MB of 150",
    ]
    assert BAD == ("lost", "altered", "overdue", "poison passed")


def test_the_same_seed_asks_the_same() -> None:
    one, same, other = random(1), random(1), random(2)
    drawn = [
        [(wish.question, wish.body) for wish in (draw(source) for _ in range(50))] for source in (one, same, other)
    ]

    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_whatever_is_drawn_has_a_right_answer_to_compare_with() -> None:
    known = {wish.question for wish in all_questions()}
    source = random(1)

    assert {draw(source).question for _ in range(300)} <= known
    assert {draw(source).expected for _ in range(300)} == {"answer", "refusal", "nothing"}
