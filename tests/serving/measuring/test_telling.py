"""Measured beside expected, as a table, and what a forecast says of it."""

from __future__ import annotations

from serving.measuring.receipt import Expected
from serving.measuring.receipts import Kept
from serving.measuring.telling import COLUMNS, below, forecast, rows
from tests.serving.measuring.receipts import figure, kept, machine, point, receipt, replica

EXPECTED = Expected(tokens_per_second=61.0, first_token_seconds=0.25, rests_on="published measurements")


def test_a_row_has_what_was_measured_beside_what_was_expected():
    told = dict(zip(COLUMNS, rows(receipt(replica(point(rate=50.0)), day=1))[0], strict=True))
    (row,) = rows(receipt(replica(point(first_token_seconds=figure(0.5, 0.1), expected=EXPECTED))))

    assert told["replica"] == "a"
    assert row == ("a", "256", "1", "50.0 ±2%", "61.0", "0.50 s ±10%", "0.25 s", "512 ±2%", "3")


def test_what_a_reduction_stands_for_is_said():
    three = replica(machines=tuple(map(machine, ("m1", "m2", "m3"))), sharding="pipeline")
    (two,), told = list(below(receipt())), list(below(receipt(three)))

    assert "takes 300 µs ±10%, one of 4 MiB runs at 5.50 GB/s, over the cable between m1 and m2" in two
    assert "over all 3 Macs together (single cables cannot be told apart in it)" in told[0]
    assert "the hop from one stage of its pipeline to the next is not measured" in told[1]


def test_who_was_not_measured_and_what_expectations_rest_on_is_said():
    told = list(below(receipt(replica(point(expected=EXPECTED)), not_measured={"b": "it is forming"})))

    assert "a: what is expected rests on: published measurements." in told
    assert "b was not measured: it is forming." in told


def test_a_forecast_speaks_of_the_same_weights_on_the_same_macs_only():
    known = kept(receipt(replica(point(rate=50.0))))

    assert forecast(known, "a", "d1", ("m1", "m2")) == (
        "50.0 tokens/s after prompts of 256 tokens, the first after 0.50 s (tensor over 2, ring; on 2026-11-20)"
    )
    assert forecast(known, "a", "d2", ("m1", "m2")) == ""
    assert forecast(known, "a", "d1", ("m1", "m3")) == ""
    assert forecast(Kept(), "a", "d1", ("m1", "m2")) == ""
