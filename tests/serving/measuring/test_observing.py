"""What is expected of a replica that was measured, and on what that rests."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.anatomy.reading import Source, from_config, from_directory
from serving.measuring.observing import PUBLISHED, beside
from serving.measuring.receipts import NONE
from tests.serving.dimensions import LLAMA_8B
from tests.serving.measuring.receipts import kept, machine, point, receipt, replica

KIND = "llama, 16 bit"


def weights() -> Source:
    return from_config(LLAMA_8B, "llama")


def test_without_an_earlier_receipt_published_measurements_are_what_is_expected():
    told = beside(replica(), weights, NONE)

    assert told.kind == KIND
    for each in told.points:
        assert each.expected is not None
        assert each.expected.rests_on == PUBLISHED
        assert each.expected.tokens_per_second > 0


def test_with_one_it_is_what_the_lab_was_before():
    measured = replica(point(256, rate=20.0), point(1024, rate=19.0), kind=KIND)
    (first, *_) = beside(measured, weights, kept(receipt(measured))).points

    assert first.expected is not None
    assert first.expected.rests_on == "measured here on 2026-11-20"
    assert first.expected.tokens_per_second == pytest.approx(20.0, rel=0.1)


def test_what_has_to_be_said_of_what_was_measured_before_is_said():
    old = receipt(replica(kind=KIND, mlx="0.32.1"), day=19)
    slow = receipt(replica(point(rate=0.1), point(1024, rate=0.1), kind=KIND), day=18)
    notes = beside(replica(), weights, kept(old, slow)).notes

    assert any("2026-11-19 is not used: it ran mlx 0.32.1" in note for note in notes)
    assert any(note.startswith("on 2026-11-18 writing took") and "beyond belief" in note for note in notes)


def test_another_split_of_before_says_nothing_of_this_one():
    before = kept(receipt(replica(kind=KIND, sharding="pipeline")))
    (first, *_) = beside(replica(), weights, before).points

    assert first.expected is not None
    assert first.expected.rests_on == PUBLISHED


def test_where_nothing_can_be_expected_that_is_said_and_the_measurement_is_kept(tmp_path: Path):
    unknown = beside(replica(machines=(machine("m1", chip="Xeon"), machine("m2"))), weights, NONE)
    gone = beside(replica(), lambda: from_directory(tmp_path), NONE)

    for told, words in ((unknown, "cannot tell which chip"), (gone, "seen no config.json")):
        assert told.points[0].expected is None
        assert any(note.startswith("nothing is expected of it:") and words in note for note in told.notes)
