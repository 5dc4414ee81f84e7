"""What holds for every choice that is accepted, whatever the weights and the machines."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as some

from serving.anatomy.values import Anatomy
from serving.layers import of_rank, proportional
from serving.placement import memory
from serving.placement.chips import CHIPS, Machine
from serving.placement.choosing import choices
from serving.placement.deciding import decide
from serving.placement.speed import Setting
from serving.placement.splitting import by_memory
from serving.placement.wish import Choice, Wish
from tests.serving import anatomies
from tests.serving.dimensions import ALL, anatomy

RANKS = (2, 3, 4)

WEIGHTS = some.sampled_from([(name, bits) for name in ALL for bits in (4,)])
MACHINES = some.lists(
    some.sampled_from([(chip, size) for chip in CHIPS for size in chip.memory_gb]), min_size=1, max_size=4
)
WISHES = some.builds(
    Wish,
    context=some.integers(256, 200_000),
    slots=some.integers(1, 16),
    transport=some.sampled_from([None, "jaccl", "jaccl-ring", "ring"]),
    fast_synch=some.booleans(),
)


def named(pairs: list[tuple[object, int]]) -> list[Machine]:
    return [Machine(f"mac-{number}", chip, size) for number, (chip, size) in enumerate(pairs, 1)]  # pyright: ignore


def of_layers(sizes: list[int]) -> Anatomy:
    """Weights whose layers are of these sizes."""
    plain = anatomies.anatomy(sum(sizes), layers=len(sizes))
    return replace(plain, layers=tuple(replace(plain.layers[0], bytes=size) for size in sizes))


def accepted(weights: Anatomy, pairs: list[tuple[object, int]], wish: Wish) -> list[Choice]:
    return [choice for choice in choices(weights, named(pairs), wish) if choice.works]


@settings(max_examples=100, deadline=None)
@given(WEIGHTS, MACHINES, WISHES)
def test_what_is_accepted_covers_all_layers_once_fits_everywhere_and_divides(
    which: tuple[str, int], pairs: list[tuple[object, int]], wish: Wish
):
    weights = anatomy(*which, RANKS)
    for choice in accepted(weights, pairs, wish):
        ranks = len(choice.machines)

        assert len(choice.needs) == ranks
        assert all(need.total <= memory.room(on) for need, on in zip(choice.needs, choice.machines, strict=True))
        assert choice.copies * ranks <= len(pairs)
        if choice.sharding == "pipeline":
            assert choice.layers is not None
            assert sum(choice.layers) == len(weights.layers)
            assert min(choice.layers) >= 1
            assert sum(need.weights - weights.outside_bytes for need in choice.needs) == sum(
                layer.bytes for layer in weights.layers
            )
        if choice.sharding == "tensor":
            assert weights.tensor[ranks].refusal is None
            assert ranks * choice.needs[0].weights >= weights.bytes
            assert ALL[which[0]]["num_attention_heads"] % ranks == 0
            assert weights.layers[0].cache.heads == 1 or ALL[which[0]]["num_key_value_heads"] % ranks == 0


@settings(max_examples=100, deadline=None)
@given(WEIGHTS, MACHINES, WISHES)
def test_choices_that_work_come_first_and_each_says_what_to_expect_or_why_not(
    which: tuple[str, int], pairs: list[tuple[object, int]], wish: Wish
):
    found = choices(anatomy(*which, RANKS), named(pairs), wish)

    works = [choice.works for choice in found]
    assert works == sorted(works, reverse=True)
    assert all((choice.expected is None) != choice.works for choice in found)
    assert all(choice.expected.answer > 0 for choice in found if choice.expected)


@settings(max_examples=30, deadline=None)
@given(WEIGHTS, MACHINES, WISHES)
def test_a_decision_names_a_winner_or_says_what_would_work(
    which: tuple[str, int], pairs: list[tuple[object, int]], wish: Wish
):
    found = decide(anatomy(*which, RANKS), named(pairs), wish)

    assert (found.winner is None) == found.sentence.startswith("cannot place")
    assert found.winner is None or found.winner.name in found.sentence


@settings(max_examples=200, deadline=None)
@given(
    some.lists(some.integers(1, 40), min_size=3, max_size=9),
    some.lists(some.sampled_from([16, 24, 32, 64, 128]), min_size=2, max_size=3),
    some.integers(256, 8192),
)
def test_layers_by_memory_are_each_held_once_and_fit_wherever_any_split_does(
    gigabytes: list[int], sizes: list[int], context: int
):
    weights = of_layers([size * 10**9 for size in gigabytes])
    macs = [Machine(f"mac-{number}", CHIPS[-1], size) for number, size in enumerate(sizes)]

    def fits(layers: tuple[int, ...]) -> bool:
        at = Setting(weights, tuple(macs), "pipeline", "ring", layers=layers)
        needs = memory.needs(at, context, 1)
        return all(need.total <= memory.room(on) for need, on in zip(needs, macs, strict=True))

    ways = product(range(1, len(gigabytes) + 1), repeat=len(macs))
    possible = any(fits(way) for way in ways if sum(way) == len(gigabytes))
    parts = by_memory(weights, macs, context, 1)

    held = sorted(number for rank in range(len(macs)) for number in range(*of_rank(parts, rank)))
    assert held == list(range(len(gigabytes)))
    assert min(parts) >= 1
    assert fits(parts) == possible


@given(
    some.integers(1, 8).flatmap(
        lambda n: some.tuples(some.integers(n, 200), some.lists(some.integers(1, 10**12), min_size=n, max_size=n))
    )
)
def test_a_proportional_split_covers_every_layer_and_comes_near_the_shares(case: tuple[int, list[int]]):
    layers, shares = case

    parts = proportional(layers, shares)

    assert sum(parts) == layers
    assert min(parts) >= 1
    assert all(part <= max(1, layers * share / sum(shares) + 1) for part, share in zip(parts, shares, strict=True))
