"""Receipts on disk, and what is made of those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

from serving.measuring.receipts import Kept, read, write
from tests.serving.measuring.receipts import receipt


def test_what_was_written_is_read_again_the_newest_first(tmp_path: Path):
    days = [receipt(day=day) for day in (3, 20, 11)]
    for each in days:
        write(tmp_path / "lab.receipts", each)

    kept = read(tmp_path / "lab.receipts")
    assert [each.day for each in kept.receipts] == ["2026-11-20", "2026-11-11", "2026-11-03"]
    assert kept.receipts[0] == days[1]
    assert kept.problems == ()


def test_without_a_directory_there_are_none(tmp_path: Path):
    assert read(tmp_path / "lab.receipts") == Kept()


def test_damaged_ones_are_told_by_name_with_the_next_step_and_the_others_are_read(tmp_path: Path):
    good = write(tmp_path, receipt())
    (tmp_path / "2026-11-21.json").write_text("{")
    (tmp_path / "2026-11-22.json").write_text(json.dumps(json.loads(good.read_text()) | {"version": 2}))
    (tmp_path / "2026-11-23.json").mkdir()

    kept = read(tmp_path)
    assert [each.day for each in kept.receipts] == ["2026-11-20"]
    assert len(kept.problems) == 3
    for name, problem in zip(("2026-11-23", "2026-11-22", "2026-11-21"), kept.problems, strict=True):
        assert f"{tmp_path / name}.json" in problem
        assert "Move it away" in problem
    assert "version" in kept.problems[1]
