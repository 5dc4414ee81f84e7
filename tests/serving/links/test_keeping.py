from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from serving.links.decision import Decision
from serving.links.keeping import StateDirectory
from serving.links.observation import Before, Held, Kept, Trial

BEFORE = Before(boot="b1", wired_limit_mb=7)
TRIAL = Trial(release="links-1", deadline=1.0, wall_deadline=2.0, before=BEFORE)
HELD = Held(boot="b1", rules="pass", printed=("pass",), token="17")


@pytest.fixture
def files(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "links")


def test_what_was_written_down_is_there_for_the_next_daemon(files: StateDirectory, tmp_path: Path):
    files.write_down(Kept(), Decision("unconfirmed", BEFORE, TRIAL))
    files.hold(HELD)

    kept = StateDirectory(tmp_path / "links").kept("links-1", "b1")
    assert kept == Kept(before=BEFORE, trial=TRIAL, held=HELD)


def test_of_another_boot_only_the_trial_counts(files: StateDirectory, tmp_path: Path):
    files.write_down(Kept(), Decision("unconfirmed", BEFORE, TRIAL))
    files.hold(HELD)

    assert StateDirectory(tmp_path / "links").kept("links-1", "b2") == Kept(trial=TRIAL)


def test_the_trial_of_another_release_is_inherited_within_its_boot(files: StateDirectory):
    files.write_down(Kept(), Decision("unconfirmed", None, TRIAL))

    assert files.kept("links-2", "b1") == Kept(inherited=TRIAL)
    assert files.kept("links-2", "b2") == Kept()


def test_confirming_and_reverting_are_by_name_and_end_the_trial(files: StateDirectory):
    files.write_down(Kept(), Decision("unconfirmed", None, TRIAL))
    files.confirm("links-1")
    files.revert("links-2")

    assert files.kept("links-1", "b1") == Kept(confirmed=True)
    assert files.kept("links-2", "b1") == Kept(reverted=True)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"boot": 7}', b"\xff\xfe"])
def test_a_damaged_file_counts_as_none(files: StateDirectory, tmp_path: Path, damage: bytes):
    for name in ("before.json", "trial.json", "filter.json", "confirmed", "reverted"):
        (tmp_path / "links" / name).write_bytes(damage)

    assert files.kept("links-1", "b1") == Kept()


def test_everything_is_roots_alone(files: StateDirectory, tmp_path: Path):
    previous = os.umask(0)
    try:
        files.hold(HELD)
        files.confirm("links-1")
        with files.locked():
            pass
    finally:
        os.umask(previous)

    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "links").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "links").stat().st_mode) == 0o700


def test_one_decides_at_a_time(files: StateDirectory, tmp_path: Path):
    order: list[str] = []
    waiting = threading.Event()

    def other() -> None:
        waiting.set()
        with StateDirectory(tmp_path / "links").locked():
            order.append("other")

    with files.locked():
        thread = threading.Thread(target=other)
        thread.start()
        waiting.wait()
        order.append("first")
    thread.join()

    assert order == ["first", "other"]


def test_a_reference_that_cannot_be_written_down_is_known_to_this_process(files: StateDirectory, tmp_path: Path):
    (tmp_path / "links/filter.json.new").mkdir()
    files.hold(HELD)

    assert files.kept("links-1", "b1").held == HELD
