from __future__ import annotations

from pathlib import Path

from serving.rank.status import RankStatus, StatusFile, Tick, Ticks, read_status, read_tick

BEGUN = RankStatus(machine="mac-1", generation=3, pid=7, phase="checking")


def test_a_status_is_on_disk_after_each_change(tmp_path: Path):
    path = tmp_path / "status.json"
    status = StatusFile(str(path), BEGUN)
    status.report(phase="refused", reason="no", curable=False)

    assert read_status(path) == BEGUN.model_copy(update={"phase": "refused", "reason": "no", "curable": False})
    assert [file.name for file in tmp_path.iterdir()] == ["status.json"]


def test_no_status_is_none(tmp_path: Path):
    assert read_status(tmp_path / "none") is None


def test_ticks_are_seen_by_who_reads_the_file(tmp_path: Path):
    path = tmp_path / "ticks"
    ticks = Ticks(str(path))
    before = read_tick(path)
    for _ in range(1000):
        ticks.advance("decoding")
    ticks.beat()

    assert (before, read_tick(path)) == (Tick(0, 0, "idle"), Tick(1000, 1, "decoding"))


def test_no_ticks_are_none(tmp_path: Path):
    (tmp_path / "half").write_bytes(b"123")

    assert read_tick(tmp_path / "none") is None
    assert read_tick(tmp_path / "half") is None
