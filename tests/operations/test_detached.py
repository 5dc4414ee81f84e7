"""A command that outlives who began it, with real processes; perl and flock are those of a Mac as well."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from operations.detached import HELD, UNDER_WAY, begun, followed, following

SLOW = (
    'printf "one\\rDownloading: 1.00%%\\rDownloading: 2.00%%\\rDownloading: 15.5%%\\n"; read word; echo "$word"; exec '
)


@pytest.fixture
def log(tmp_path: Path) -> str:
    return str(tmp_path / "said.log")


def ran(script: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", script], input=given, capture_output=True, text=True, check=False)


def held(log: str) -> str:
    return subprocess.run(["perl", "-e", HELD, log], capture_output=True, text=True, check=True).stdout.strip()


def gate(tmp_path: Path) -> Path:
    """Whoever reads it waits until somebody writes."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


def test_what_it_says_is_followed_to_its_end_and_its_code_told(log: str):
    begin = ran(begun(log, ["/bin/sh", "-c", f"{SLOW}false"]), "correct horse\n")
    how = followed(ran(following(log, 10)).stdout.splitlines())

    assert (begin.returncode, begin.stdout, begin.stderr) == (0, "", "")
    assert how is not None
    assert (how.state, how.code) == ("ended", 1)
    # Of progress within one tenth only the first is told.
    assert how.lines == ("one", "Downloading: 1.00%", "Downloading: 15.5%", "correct horse")


def test_it_outlives_who_began_it_and_is_begun_once_at_a_time(log: str, tmp_path: Path):
    waits = gate(tmp_path)
    first = ran(begun(log, ["/bin/cat", str(waits)]))
    during = held(log)
    again = ran(begun(log, ["/bin/echo", "second"]))
    goes_on = followed(ran(following(log, 0)).stdout.splitlines())
    waits.write_text("first\n")
    how = followed(ran(following(log, 10)).stdout.splitlines())

    assert (first.stdout, during, again.stdout) == ("", "held", f"{UNDER_WAY}\n")
    assert goes_on is not None
    assert goes_on.state == "goes on"
    assert how is not None
    assert (how.state, how.code, how.lines) == ("ended", 0, ("first",))
    with open(log) as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # its keeper ends a moment after its last word

    assert held(log) == "free"


def test_begun_anew_it_keeps_nothing_of_what_was_said_before(log: str):
    for word in ("first", "second"):
        ran(begun(log, ["/bin/echo", word]))
        how = followed(ran(following(log, 10)).stdout.splitlines())

    assert how is not None
    assert how.lines == ("second",)


def test_what_is_not_there_ends_with_127(log: str):
    ran(begun(log, ["/usr/sbin/nothing"]))
    how = followed(ran(following(log, 10)).stdout.splitlines())

    assert how is not None
    assert (how.code, how.words) == (127, "/usr/sbin/nothing: No such file or directory")


def test_one_that_was_killed_with_its_keeper_is_gone(log: str):
    Path(log).write_text("half a word\nand anot")
    how = followed(ran(following(log, 10)).stdout.splitlines())

    assert how is not None
    assert (how.state, how.code, how.lines[0]) == ("gone", None, "half a word")


def test_one_that_was_never_begun_is_gone(log: str):
    how = followed(ran(following(log, 10)).stdout.splitlines())

    assert how is not None
    assert (how.state, how.words) == ("gone", "gone: No such file or directory")


@pytest.mark.parametrize("lines", [[], ["Downloading: 1.00%"], ["-- ended with much"], ["-- ended with 0", "more"]])
def test_what_was_cut_short_is_no_end(lines: list[str]):
    assert followed(lines) is None


def test_what_it_is_given_is_in_no_file_and_on_no_command_line(log: str, tmp_path: Path):
    waits = gate(tmp_path)
    begin = begun(log, ["/bin/sh", "-c", f"cat {waits}; cat >/dev/null"])
    ran(begin, "correct horse\n")
    seen = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _is_readable(path)]
    waits.write_text("")
    ran(following(log, 10))

    assert "horse" not in begin
    assert not [words for words in seen if b"correct horse" in words]
    assert "horse" not in Path(log).read_text()


def _is_readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_a_directory_that_is_not_there_cannot_be_made_by_just_anybody(tmp_path: Path):
    # There is no group `wheel` on most Linux machines: what matters is that nothing is begun then.
    marker = tmp_path / "marker"
    script = begun(str(tmp_path / "none" / "said.log"), ["/usr/bin/touch", str(marker)])
    ended = ran(script.replace("/usr/bin/install", "/bin/false"))

    assert ended.returncode == 1
    assert not marker.exists()
