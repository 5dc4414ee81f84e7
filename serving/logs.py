"""A daemon's own log: NAME.log, five megabytes and three older ones; written by the process itself.

launchd keeps NAME.out.log open for as long as the daemon lives, so whatever turns that file over from outside loses
what comes after (macOS 26: newsyslog). There is only what is said before logging begins, or past it.

What clients send is in no log. Libraries put requests into their messages and exceptions (LiteLLM 1.109.1 quotes a
refused one whole, asyncio the exceptions of its tasks), so only our own words are written down as they are, and
uvicorn's; of all others the place and the kind.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import traceback
from asyncio import CancelledError
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

_BYTES = 5 * 2**20
_OLDER = 3
_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_TRUSTED = ("root", "uvicorn")
Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def begin(directory: Path, name: str) -> None:
    """Log to a file of this name from now on, uncaught exceptions too; to standard error if there is no such file."""
    trouble = ""
    try:
        _cut(directory / f"{name}.out.log")
        handler: logging.Handler = BoundedFile(directory / f"{name}.log")
    except OSError as error:
        handler, trouble = logging.StreamHandler(), f"cannot log to {directory}/{name}.log: {error}"
    handler.setFormatter(Discreet(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.excepthook = _uncaught
    faulthandler.enable()  # an end without an exception leaves its place in NAME.out.log
    threading.excepthook = lambda it: _uncaught(it.exc_type, it.exc_value or it.exc_type(), it.exc_traceback)
    if trouble:
        logging.warning("%s", trouble)


def take_over(*names: str) -> None:
    """Have what these loggers say in our log, and nowhere else; warnings and worse."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)


def _cut(out: Path) -> None:
    """Empty a file that launchd appends to, once it is too large; cutting it off under launchd loses nothing else."""
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if os.fstat(descriptor).st_size > _BYTES:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


class BoundedFile(RotatingFileHandler):
    """A log that turns itself over. It follows no link: root logs into a directory of another account's."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=_BYTES, backupCount=_OLDER, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return open(os.open(self.baseFilename, flags, 0o644), "a", encoding=self.encoding, errors=self.errors)


class Discreet(logging.Formatter):
    """Our own words as they are; of others' the place, and what kind of exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; the record itself stays as it is."""
        ours = record.name == "root"
        if ours or record.name.partition(".")[0] in _TRUSTED:
            shown = logging.makeLogRecord(record.__dict__)
        else:
            place = f"{record.name}: {record.filename}, line {record.lineno}, in {record.funcName}"
            shown = logging.makeLogRecord({**record.__dict__, "msg": place, "args": ()})
        if not ours:
            shown.exc_text = _without_words(record.exc_info) if record.exc_info else None
        return super().format(shown)


def _without_words(raised: Raised | tuple[None, None, None]) -> str:
    """Where an exception came from and what kinds it went through, without what they say."""
    kind, error, frames = raised
    if kind is None or error is None:
        return ""
    if issubclass(kind, CancelledError):
        # uvicorn tells of every stream that it ends with itself; where each of them waited is no news.
        return "It was cut off: what it belongs to ends."
    status = getattr(error, "status_code", None)
    shown = "".join(traceback.format_list(traceback.extract_tb(frames)))
    return f"{shown}{kind.__name__}" + (f", status {status}" if status is not None else "")


def _uncaught(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, frames)
        return
    logging.critical("It ended by an exception that nobody expected", exc_info=(kind, error, frames))
