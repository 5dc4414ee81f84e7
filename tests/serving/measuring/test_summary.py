"""Medians and spreads of a point's rounds, and what has to be said beside them."""

from __future__ import annotations

from typing import Any

import pytest

from serving.measuring.points import Point, Taken
from serving.measuring.sample import Order, Sample
from serving.measuring.summary import figure, notes, summaries

POINT, MANY = Point(256, 1), Point(256, 2)


def taken(point: Point | None = POINT, first: float = 0.5, rate: float | None = 50.0, **changes: Any) -> Taken:
    count = point.sequences if point else 1
    told: dict[str, Any] = {
        "prompt_tokens": (250,) * count,
        "cached_tokens": (0,) * count,
        "first_token_seconds": (first,) * count,
        "answer_tokens": (32,) * count,
        "tokens_per_second": rate,
    }
    return Taken(point, Order(count, 60, 32, 20.0), Sample(**{**told, **changes}))


def test_a_point_is_the_median_of_its_rounds_and_the_first_look_does_not_count():
    (told,) = summaries([taken(None, rate=1.0), taken(rate=40.0), taken(rate=50.0), taken(rate=55.0, first=0.4)])

    assert told.tokens_per_second is not None
    assert (told.tokens_per_second.median, told.rounds) == (50.0, 3)
    assert told.tokens_per_second.spread == pytest.approx(0.15)
    assert told.first_token_seconds.median == 0.5
    assert told.prompt_tokens_per_second.median == 500.0


def test_what_was_cached_is_not_counted_as_read_and_is_told_when_it_is_much():
    rounds = [taken(cached_tokens=(50,))]

    assert summaries(rounds)[0].prompt_tokens_per_second.median == 400.0
    assert list(notes(rounds)) == [
        "prompts of about 256 tokens: 50 of 250 tokens had been read before; prompt speed does not count them"
    ]


def test_several_at_once_are_read_until_the_last_begins():
    (told,) = summaries([taken(MANY, first_token_seconds=(0.5, 1.0))])

    assert told.prompt_tokens_per_second.median == 500.0
    assert told.sequences == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"others": 2}, "2 requests of others were served meanwhile"),
        ({"cut": True}, "1 of 1 rounds were cut off"),
        ({"rate": None}, "the answers ended too soon"),
    ],
)
def test_what_must_be_known_of_a_point_is_told(changes: dict[str, Any], words: str):
    assert words in "; ".join(notes([taken(**changes)]))


def test_a_point_of_which_nothing_came_whole_is_no_point():
    rounds = [taken(rate=None, prompt_tokens=(), first_token_seconds=(), answer_tokens=(), cached_tokens=(), cut=True)]

    assert summaries(rounds) == []
    assert "cut off" in "; ".join(notes(rounds))


def test_a_spread_is_half_of_what_lies_between_the_least_and_the_most():
    assert figure([8.0, 10.0, 12.0]).spread == pytest.approx(0.2)
    assert figure([10.0]).spread == 0.0
