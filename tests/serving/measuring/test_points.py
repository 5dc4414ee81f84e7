"""What is asked of a replica, and for how long, by replicas that are nothing but numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import pytest

from serving.measuring.points import MOST_SECONDS, USUAL_SECONDS, Done, Point, Taken, following
from serving.measuring.sample import Order, Sample


@dataclass(frozen=True)
class Imagined:
    """A replica that keeps exactly to its numbers; each further sequence makes a step longer by a share."""

    tokens_per_second: float
    prompt_rate: float
    share: float = 0.1
    tokens_per_number: float = 4.0

    def step(self, sequences: int) -> float:
        return (1 + self.share * (sequences - 1)) / self.tokens_per_second

    def asked(self, order: Order) -> tuple[Sample, float]:
        """What it shows, and how long that takes."""
        count, tokens = order.sequences, round(order.numbers * self.tokens_per_number)
        first = tokens * count / self.prompt_rate + self.step(count)
        sample = Sample(
            prompt_tokens=(tokens,) * count,
            cached_tokens=(0,) * count,
            first_token_seconds=(first,) * count,
            answer_tokens=(order.answer_tokens,) * count,
            tokens_per_second=count / self.step(count),
        )
        return sample, first + order.answer_tokens * self.step(count)


def measured(
    replica: Imagined, context: int = 8192, slots: int = 8, before: Collection[int] = ()
) -> tuple[list[Taken], Done, float]:
    """All samples, why no more, and how long it took."""
    taken: list[Taken] = []
    spent = 0.0
    while not isinstance(step := following(context, slots, taken, spent, before), Done):
        sample, seconds = replica.asked(step.order)
        assert seconds <= step.order.seconds, "it is given the time that it takes"
        taken.append(Taken(step.point, step.order, sample))
        spent += seconds
        assert len(taken) < 50
    return taken, step, spent


def test_a_replica_that_writes_50_tokens_per_second_is_measured_whole_in_about_a_minute():
    taken, done, spent = measured(Imagined(50, 500))

    assert done.left_out == ()
    assert spent < 1.25 * USUAL_SECONDS
    assert {each.point.sequences for each in taken if each.point} == {1, 2, 4, 8}
    assert len({each.point.tokens for each in taken if each.point}) == 2


@pytest.mark.parametrize("speed", [3, 6, 12])
def test_a_slow_one_is_measured_in_about_two_minutes_and_what_was_left_out_is_told(speed: float):
    taken, done, spent = measured(Imagined(speed, 40, share=0.6), context=2048, slots=4)

    assert spent < 1.25 * MOST_SECONDS
    assert sum(each.point is not None and each.point.sequences == 1 for each in taken) >= 1
    asked = {str(each.point) for each in taken if each.point}
    assert not asked & {words.partition(":")[0] for words in done.left_out}


def test_the_first_rounds_of_all_points_come_before_the_second_of_any():
    taken, *_ = measured(Imagined(50, 2000))
    points = [each.point for each in taken if each.point]

    assert len(set(points[: len(set(points))])) == len(set(points))


def test_more_at_once_is_not_asked_where_a_step_would_come_near_to_what_is_taken_for_a_freeze():
    taken, done, _ = measured(Imagined(1.5, 400, share=0.9), slots=8)

    assert max(each.order.sequences for each in taken) == 1
    assert any("taken for frozen" in words for words in done.left_out)


def test_a_point_that_was_given_up_is_not_asked_again_nor_a_longer_one_and_that_is_told():
    taken, *_ = measured(Imagined(50, 2000))
    cut = [replace(each, sample=Sample(cut=True)) if each.order.sequences > 1 else each for each in taken]
    step = following(8192, 8, [each for each in cut if each.point != Point(4096, 8)], 60.0)

    assert isinstance(step, Done)
    assert step.left_out == (
        "prompts of about 4096 tokens, 8 at once: prompts of about 256 tokens, 2 at once took too long already",
    )


@pytest.mark.parametrize("context", [256, 2048, 131072])
@pytest.mark.parametrize("slots", [1, 2, 3, 8])
@pytest.mark.parametrize("replica", [Imagined(200, 5000), Imagined(20, 100, tokens_per_number=1.5)])
def test_no_more_is_asked_at_once_than_there_are_slots_and_all_fits_into_the_context(
    context: int, slots: int, replica: Imagined
):
    taken, *_ = measured(replica, context, slots)

    for each in taken:
        assert each.order.sequences <= slots
        assert each.sample.prompt_tokens[0] + each.order.answer_tokens <= context


def test_what_was_asked_another_day_is_asked_again_unless_it_is_much_too_long_now():
    def lengths(rate: float, *before: int) -> set[int]:
        taken, *_ = measured(Imagined(50, rate), before=before)
        return {each.point.tokens for each in taken if each.point}

    assert lengths(520) != lengths(600)
    assert lengths(600, *lengths(520)) == lengths(520)
    assert lengths(520, *lengths(600)) == lengths(600)
    assert lengths(100, *lengths(600)) == lengths(100)


def test_the_first_look_asks_for_little_and_does_not_count():
    step = following(4096, 4, [], 0.0)

    assert not isinstance(step, Done)
    assert (step.point, step.order.sequences) == (None, 1)
    assert step.order.numbers < 32


def test_a_point_says_what_is_asked():
    assert str(Point(256, 4)) == "prompts of about 256 tokens, 4 at once"
