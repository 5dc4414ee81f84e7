"""A lab's own constants: what was slower here is slower in the plan by as much, and by nothing beyond belief."""

from __future__ import annotations

import pytest

from serving.anatomy.reading import from_config
from serving.anatomy.values import Anatomy
from serving.measuring.calibration import Calibration, find, of
from serving.measuring.expecting import answer_seconds, as_served, kind_of, reading_seconds, slower
from serving.measuring.receipt import Measured, MeasuredReplica
from serving.placement.chips import machine as placed
from serving.placement.choosing import choices
from serving.placement.constants import FITTED
from serving.placement.wish import Wish
from tests.serving.dimensions import LLAMA_8B
from tests.serving.measuring.receipts import KIND, SOFTWARE, figure, kept, machine, point, receipt, reduction, replica

WEIGHTS = from_config(LLAMA_8B, "llama").anatomy((2,), memory=False)
TRUE = {"decoding_factor": 1.4, "prompt_factor": 2.0, "latency_factor": 3.0, "transfer_factor": 1.5}
"""A lab that is slower than what is published by so much."""


def seen_at(measured: MeasuredReplica, weights: Anatomy, **factors: float) -> MeasuredReplica:
    """The replica as it would have been measured where seconds are as many times longer."""
    at = slower(as_served(weights, measured), **factors)

    def as_seen(each: Measured) -> Measured:
        seconds = answer_seconds(at, each) / each.sequences
        first = figure(reading_seconds(at, each))
        return each.model_copy(update={"tokens_per_second": figure(1 / seconds), "first_token_seconds": first})

    told = {"points": tuple(map(as_seen, measured.points))}
    return measured.model_copy(update=told)


def calibrated(measured: MeasuredReplica) -> Calibration:
    found = of(receipt(measured), measured, WEIGHTS)
    assert found is not None
    return found


@pytest.mark.parametrize("sharding", ["tensor", "pipeline", None])
def test_a_lab_that_is_slower_by_known_factors_gives_these_factors(sharding: str | None):
    alone = {} if sharding else {"machines": (machine("m1"),), "transport": None, "collective": None}
    told = replica(point(), point(1024), sharding=sharding, **{"collective": reduction(900e-6, 5.5e9 / 1.5), **alone})
    found = calibrated(seen_at(told, WEIGHTS, **TRUE)).here.constants

    assert found.decoding_factor == pytest.approx(1.4, rel=0.02)
    assert found.prompt_factor == pytest.approx(2.0, rel=0.02)
    if sharding is not None:
        assert found.latency_factor == pytest.approx(3.0, rel=0.02)
        assert found.transfer_factor == pytest.approx(1.5, rel=0.02)


def test_what_is_beyond_belief_is_cut_and_told():
    found = calibrated(seen_at(replica(point(), point(1024)), WEIGHTS, decoding_factor=70.0, prompt_factor=0.01))

    assert (found.here.constants.decoding_factor, found.here.constants.prompt_factor) == (4.0, 0.25)
    assert any(words.startswith("writing took") and "4 times is planned with" in words for words in found.words)
    assert any(words.startswith("reading prompts took") for words in found.words)


def test_what_was_not_measured_stays_as_published_and_is_told():
    found = calibrated(replica(point(rate=None), collective=reduction(bytes_per_second=None)))

    assert found.here.constants.decoding_factor == FITTED.decoding_factor
    assert found.here.constants.transfer_factor == FITTED.transfer_factor
    assert any("how fast answers are written was not measured" in words for words in found.words)
    assert any("how fast reductions move bytes" in words for words in found.words)


def test_points_beside_requests_of_others_say_nothing():
    assert of(receipt(), replica(point(others=1), point(sequences=4)), WEIGHTS) is None


def test_a_plan_rests_on_it_where_machines_are_alike_and_says_so():
    here = calibrated(seen_at(replica(point(), point(1024)), WEIGHTS, decoding_factor=2.0)).here
    machines = [placed("M3 Ultra 512", "m1"), placed("M3 Ultra 512", "m2")]
    wish = Wish(transport="ring")
    published = {each.name: each for each in choices(WEIGHTS, machines, wish)}
    own = {each.name: each for each in choices(WEIGHTS, machines, Wish(transport="ring", here=here))}

    assert own["tensor over 2"].expected is not None
    assert own["tensor over 2"].expected.rests_on == "measured here on 2026-11-20"
    assert own["tensor over 2"].expected.band == pytest.approx(0.05)
    assert own["one Mac"].expected is not None
    assert published["one Mac"].expected is not None
    assert own["one Mac"].expected.rests_on == "measured here on 2026-11-20, by tensor over 2"
    assert own["one Mac"].expected.answer == pytest.approx(published["one Mac"].expected.answer / 2, rel=0.01)


def test_machines_of_another_chip_are_planned_with_what_is_published():
    here = calibrated(replica(point(), point(1024))).here
    (choice, *_) = choices(WEIGHTS, [placed("M4 Max 128", "m9")], Wish(here=here))

    assert choice.expected is not None
    assert "measured here" not in choice.expected.rests_on


def test_the_newest_of_the_same_kind_and_software_is_used_and_why_others_are_not_is_told():
    old, older = receipt(replica(mlx="0.32.1"), day=12), receipt(day=3)
    found, reasons = find(kept(old, older), KIND, SOFTWARE, "a")

    assert found is not None
    assert found[0].day == "2026-11-03"
    assert reasons == (
        "what was measured of 'a' on 2026-11-12 is not used: it ran mlx 0.32.1 and mlx-lm 0.32.2, planned are 0.32.4 "
        "and 0.32.2. Bench again",
    )


def test_another_replica_says_something_of_weights_of_the_same_kind_only():
    assert find(kept(receipt()), KIND, SOFTWARE, "b")[0] is not None
    assert find(kept(receipt()), "llama, 4 bit", SOFTWARE, "b")[0] is None


def test_the_kind_of_weights_is_their_module_and_their_bits():
    assert kind_of(WEIGHTS) == "llama, 16 bit"
