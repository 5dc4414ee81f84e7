from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving import logs

PROMPT = "my most secret thoughts"


def ran(directory: Path, program: str, out: str = "x.out.log") -> subprocess.CompletedProcess[str]:
    """A process that logs, with its standard error where launchd would put it."""
    begun = f"""
import logging, threading
from pathlib import Path
from serving import logs
logs.begin(Path({str(directory)!r}), 'x')
"""
    with (directory / out).open("a") as file:
        return subprocess.run([sys.executable, "-c", begun + program], stderr=file, stdout=file, text=True, check=False)


def said(directory: Path, name: str = "x.log") -> str:
    return (directory / name).read_text()


def test_a_log_turns_itself_over_and_never_grows_beyond_its_bounds(tmp_path: Path):
    ran(tmp_path, "for n in range(300): logging.info('%d %s', n, 'x' * 100_000)")

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"x.log", "x.log.1", "x.log.2", "x.log.3", "x.out.log"}
    assert max(sizes.values()) <= 5 * 2**20
    assert "299 xxx" in said(tmp_path)


@pytest.mark.parametrize(("size", "left"), [(5 * 2**20 + 1, 0), (5 * 2**20, 5 * 2**20)])
def test_what_launchd_writes_is_cut_at_start_when_it_is_too_much(tmp_path: Path, size: int, left: int):
    out = tmp_path / "x.out.log"
    out.write_bytes(b"")
    os.truncate(out, size)
    ran(tmp_path, "")

    assert out.stat().st_size == left


def test_what_is_said_past_the_log_after_the_cut_is_kept(tmp_path: Path):
    os.truncate(os.open(tmp_path / "x.out.log", os.O_CREAT | os.O_WRONLY), 6 * 2**20)
    ran(tmp_path, "import sys; print('afterwards', file=sys.stderr)")

    assert said(tmp_path, "x.out.log") == "afterwards\n"


@pytest.mark.parametrize(
    "program",
    ["raise ValueError('bad luck')", "t = threading.Thread(target=int, args=('bad luck',)); t.start(); t.join()"],
)
def test_an_uncaught_exception_is_in_the_log(tmp_path: Path, program: str):
    ran(tmp_path, program)

    assert "CRITICAL" in said(tmp_path)
    assert "bad luck" in said(tmp_path)
    assert "ValueError" in said(tmp_path)


def test_without_a_directory_it_is_said_on_standard_error_and_goes_on(tmp_path: Path):
    program = "from pathlib import Path; logs.begin(Path('/nowhere/at/all'), 'y'); logging.info('still here')"
    done = ran(tmp_path, program)

    assert done.returncode == 0
    assert "cannot log to /nowhere/at/all/y.log" in said(tmp_path, "x.out.log")
    assert "still here" in said(tmp_path, "x.out.log")


@pytest.mark.parametrize("name", ["x.log", "x.out.log"])
def test_no_link_is_followed(tmp_path: Path, name: str):
    other = tmp_path / "precious"
    other.write_text("x" * (6 * 2**20))
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / name).symlink_to(other)
    ran(directory, "logging.info('words')", out="elsewhere")

    assert other.stat().st_size == 6 * 2**20


class Refused(Exception):
    status_code = 400


def raised(error: Exception) -> Any:
    """An exception on its way through some frames."""

    def deeper() -> None:
        raise error from ValueError(PROMPT)

    try:
        deeper()
    except type(error):
        return sys.exc_info()


def record(name: str, message: str = f"refused: {PROMPT}", error: Exception | None = None) -> str:
    """How something that handled a request is written down."""
    info = raised(error or RuntimeError(PROMPT))
    made = logging.getLogger(name).makeRecord(name, 40, "/there/it.py", 7, message, (), info, "handle")
    return logs.Discreet("%(levelname)s %(message)s").format(made)


@pytest.mark.parametrize("name", ["LiteLLM Proxy", "LiteLLM", "asyncio", "httpx", "somebody.else"])
def test_what_clients_send_is_not_in_what_libraries_say(name: str):
    text = record(name)

    assert PROMPT not in text
    assert text.splitlines()[0] == f"ERROR {name}: it.py, line 7, in handle"
    assert "RuntimeError" in text


def test_nor_in_the_exceptions_that_uvicorn_meets():
    text = record("uvicorn.error", "Exception in ASGI application")

    assert PROMPT not in text
    assert "Exception in ASGI application" in text
    assert "test_logs.py" in text


def test_the_status_of_an_exception_tells_enough():
    assert record("LiteLLM", error=Refused(PROMPT)).endswith("Refused, status 400")


def test_our_own_words_are_written_as_they_are():
    assert record("root", "cannot do it").startswith("ERROR cannot do it\n")
    assert f"RuntimeError: {PROMPT}" in record("root")


def test_a_logger_with_a_handler_of_its_own_is_taken_over():
    logger = logging.getLogger("with its own")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False
    logs.take_over("with its own")

    assert (logger.handlers, logger.propagate, logger.level) == ([], True, logging.WARNING)


def test_what_is_cut_off_as_a_daemon_ends_is_a_line_and_not_a_story(tmp_path: Path):
    ran(
        tmp_path,
        """
import asyncio
try:
    raise asyncio.CancelledError("Task cancelled, timeout graceful shutdown exceeded")
except asyncio.CancelledError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
""",
    )

    assert said(tmp_path).splitlines()[1:] == ["It was cut off: what it belongs to ends."]
