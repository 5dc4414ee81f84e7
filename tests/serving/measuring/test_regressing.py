"""What the doctor notes of receipts: slower than before, or measured before something changed."""

from __future__ import annotations

from typing import Any

import pytest

from serving.measuring.receipt import MeasuredReplica
from serving.measuring.receipts import Kept
from serving.measuring.regressing import findings
from serving.verdict import Finding
from tests.serving.declarations import declared
from tests.serving.labs import all_well, changed
from tests.serving.measuring.receipts import SOFTWARE, figure, kept, machine, point, receipt, reduction, replica


def noted(receipts: Kept, *, software: tuple[str, str] = SOFTWARE, digest: str = "d1", **seen: Any) -> list[Finding]:
    return findings(declared(), {**all_well(), **seen}, receipts, {"w": digest}, software)


def two_days(before: MeasuredReplica, now: MeasuredReplica) -> list[Finding]:
    return noted(kept(receipt(before, day=1), receipt(now, day=2)))


def test_a_lab_that_was_never_measured_or_is_as_fast_as_before_has_nothing_to_note():
    assert noted(Kept()) == []
    assert noted(kept(receipt())) == []
    assert two_days(replica(), replica()) == []


def test_answers_that_are_slower_by_more_than_the_rounds_lay_apart_are_noted_with_both_numbers():
    (finding,) = two_days(replica(point(rate=50.0)), replica(point(rate=40.0)))

    assert (finding.machine, finding.check, finding.severity) == ("m1", "speed", "note")
    assert "replica a was slower on 2026-11-02 than on 2026-11-01" in finding.seen
    assert "256 tokens: 40.0 tokens/s written, before 50.0" in finding.seen


def test_a_later_first_token_and_slower_reductions_are_noted():
    (finding,) = two_days(
        replica(point(first=0.5), collective=reduction(300e-6)), replica(point(first=0.7), collective=reduction(900e-6))
    )

    assert "first token after 0.70 s, before 0.50 s" in finding.seen
    assert "reductions 300 µs, now 900 µs" in finding.seen


@pytest.mark.parametrize(
    "now",
    [
        replica(point(rate=46.0)),
        replica(point(tokens_per_second=figure(40.0, 0.2))),
        replica(point(rate=30.0, others=2)),
        replica(point(1024, rate=30.0)),
        replica(point(rate=60.0, first=0.1)),
        replica(point(rate=None)),
        replica(point(), collective=reduction(500e-6)),
    ],
    ids=["a little", "within the spread", "beside others", "another point", "faster", "unknown", "one busy moment"],
)
def test_what_may_be_chance_or_cannot_be_compared_is_not_noted(now: MeasuredReplica):
    assert two_days(replica(point(rate=50.0)), now) == []


def test_only_what_was_measured_of_the_same_is_compared():
    slow = replica(point(rate=20.0))
    others = [
        replica(point(), digest="d0"),
        replica(point(), mlx="0.32.1"),
        replica(point(), machines=(machine("m1", "25C55"), machine("m2", "25C55"))),
        replica(point(), sharding="pipeline"),
    ]

    assert [two_days(other, slow) for other in others] == [[]] * 4
    (finding,) = noted(kept(receipt(replica(point()), day=1), receipt(others[0], day=2), receipt(slow, day=3)))
    assert "than on 2026-11-01" in finding.seen


def test_what_changed_since_it_was_measured_asks_for_another_measurement():
    newer = changed(all_well()["m2"], "mac", build="25E246")

    (finding,) = noted(kept(receipt()), m2=newer)
    assert "macOS of m2 went from 25D125 to 25E246" in finding.seen
    assert finding.remedy == "Measure again: cidermill bench."
    (finding,) = noted(kept(receipt()), software=("0.33.0", SOFTWARE[1]))
    assert finding.seen.endswith("since then mlx went from 0.32.4 to 0.33.0")
    (finding,) = noted(kept(receipt()), digest="d2")
    assert "its weights became others" in finding.seen
    (finding,) = noted(kept(receipt(replica(sharding="pipeline"))))
    assert "it became tensor ring on m1, m2 (it was pipeline over 2, ring on m1, m2)" in finding.seen


def test_a_damaged_receipt_is_noted_and_all_else_goes_on():
    damaged = Kept((receipt(),), ("cannot read the receipt x.json: EOF. Move it away, then bench again.",))

    (finding,) = noted(damaged)
    assert (finding.check, finding.severity) == ("receipt", "note")
    assert "x.json" in finding.seen
