"""How much of many prompts one step reads; mlx-lm's own batches on the test weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from mlx_lm.generate import BatchGenerator

from serving.rank.portions import PortionedBatches, share
from tests.serving.rank.holding import weights

STEP = 256


def prompts(count: int, tokens: int) -> list[list[int]]:
    """No two alike, and of several lengths."""
    return [[5 + (number * 7 + place) % 90 for place in range(tokens - number)] for number in range(count)]


def read(made: Any, asked: list[list[int]], before: Mapping[int, int] | None = None) -> Iterator[Counter[int]]:
    """By prompt, how much of it each step reads, until an answer has begun for all; `before` was read before."""
    done, begun = Counter(before), set[int]()
    uids = {*done, *made.insert(asked, max_tokens=[3] * len(asked))}
    while begun != uids:
        prompts, answers = made.next()
        progress = {each.uid: each.progress[0] for each in prompts}
        yield Counter({uid: now - done[uid] for uid, now in progress.items()})
        done.update({uid: now - done[uid] for uid, now in progress.items()})
        begun |= {each.uid for each in answers}


def batches(kind: type[Any], slots: int = 8) -> Any:
    return kind(weights()[0], completion_batch_size=slots, prefill_batch_size=slots, prefill_step_size=STEP)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 11])
def test_a_step_reads_no_more_of_many_prompts_than_it_would_of_one(count: int):
    steps = [step.total() for step in read(batches(PortionedBatches), prompts(count, 400))]

    assert max(steps) <= STEP
    assert sum(steps) == sum(map(len, prompts(count, 400)))


def test_mlx_lm_itself_reads_as_much_of_each():
    assert max(step.total() for step in read(batches(BatchGenerator), prompts(8, 400))) == 8 * STEP


def test_a_prompt_that_comes_later_takes_its_share():
    made = batches(PortionedBatches)
    made.insert(prompts(1, 600), max_tokens=[3])
    alone = {each.uid: each.progress[0] for each in made.next()[0]}
    steps = [step.total() for step in read(made, prompts(1, 120), alone)]

    assert list(alone.values()) == [STEP]
    assert max(steps) <= STEP
    assert sum(steps) == 600 - STEP + 120


def answers(kind: type[Any]) -> dict[int, list[int]]:
    made = batches(kind)
    said: dict[int, list[int]] = {uid: [] for uid in made.insert(prompts(5, 300), max_tokens=[6] * 5)}
    while any(len(tokens) < 6 for tokens in said.values()):
        for each in made.next()[1]:
            said[each.uid].append(each.token)
    return said


def test_the_answers_are_those_of_mlx_lm():
    assert answers(PortionedBatches) == answers(BatchGenerator)


@pytest.mark.parametrize(
    ("prompts", "each"), [(0, 2048), (1, 2048), (2, 1024), (3, 640), (16, 128), (32, 64), (48, 42), (5000, 1)]
)
def test_shares_fill_blocks_of_64_as_long_as_there_are_any(prompts: int, each: int):
    assert share(2048, prompts) == each
