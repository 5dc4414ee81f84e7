"""Recorded replies: what is kept, what forgets them, and that a shell prints them as they were."""

from __future__ import annotations

import io
import subprocess
import time
from pathlib import Path

import pytest

from tests.standin.mac import Call, Reply
from tests.standin.reply_cache import ReplyCache

REPLY = Reply("it's\ttwo\nlines %s\\n", "and an error\n", 3)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def note(cache: ReplyCache, path: str, *words: str, uid: int = 0) -> None:
    cache.note(path, Call([path, *words], uid, io.BytesIO()), REPLY)


def kept(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.sh"))


def test_a_read_is_kept_by_its_words_and_by_whether_root_asked(directory: Path) -> None:
    cache = ReplyCache(directory)
    note(cache, "/usr/bin/pmset", "-g", "custom")
    note(cache, "/bin/df", "-k", "/opt", uid=501)

    assert kept(directory) == ["others/bin/df^-k^/opt.sh", "root/usr/bin/pmset^-g^custom.sh"]


def test_a_kept_reply_is_printed_as_it_was(directory: Path) -> None:
    note(ReplyCache(directory), "/usr/bin/pmset", "-g")
    done = subprocess.run(["sh", directory / "root/usr/bin/pmset^-g.sh"], capture_output=True, text=True, check=False)

    assert Reply(done.stdout, done.stderr, done.returncode) == REPLY


@pytest.mark.parametrize(
    "change",
    [
        ("/usr/bin/pmset", "-a", "sleep", "0"),
        ("/sbin/ifconfig", "en3", "up"),
        ("/bin/launchctl", "bootout", "system/x"),
        ("/usr/sbin/sysctl", "iogpu.wired_limit_mb=1"),
        ("/sbin/pfctl", "-E"),
        ("/usr/bin/tmutil", "disable"),
    ],
)
def test_a_change_forgets_everything_and_nothing_is_kept_until_it_has_settled(
    directory: Path, change: tuple[str, ...]
) -> None:
    cache = ReplyCache(directory, settled_seconds=1000)
    note(cache, "/sbin/ifconfig", "-a")
    before = kept(directory)
    note(cache, *change)
    note(cache, "/sbin/ifconfig", "-a")

    assert before == ["root/sbin/ifconfig^-a.sh"]
    assert kept(directory) == []


def test_the_time_is_neither_kept_nor_a_change(directory: Path) -> None:
    cache = ReplyCache(directory)
    note(cache, "/sbin/ifconfig", "-a")
    note(cache, "/bin/date", "-u", "+%H")

    assert kept(directory) == ["root/sbin/ifconfig^-a.sh"]


def test_of_the_clock_it_is_kept_how_far_it_is_off(directory: Path) -> None:
    call = Call(["/bin/date", "-u", "+%s"], 0, io.BytesIO())
    ReplyCache(directory).note("/bin/date", call, Reply(f"{int(time.time()) + 5000}\n"))
    told = subprocess.run(["sh", directory / "root/bin/date^-u^+%s.sh"], capture_output=True, text=True, check=True)

    assert 4990 < int(told.stdout) - time.time() < 5010
