"""The rank process of one machine: started, let in, stopped, and told about truthfully.

An exclusive flock on `rank.lock` is taken here and handed to the rank as an open descriptor; the kernel frees it when
the last process that holds it is gone. So "an old rank lives" is never a guess from a pid, whoever started it. An agent
that finds one living keeps it: what its earlier self knew is in `rank.record.json`; only its exit code is nobody's but
its parent's.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

import psutil
from pydantic import ValidationError

from serving.api import RankReport
from serving.declared import Declared
from serving.errors import StartRefused
from serving.rank.status import RankSpec, read_status, read_tick, replace

PROGRAM = (sys.executable, "-m", "serving.rank.process")
"""What is started; the path of its RankSpec is added."""

_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
"""SIGKILL needs longer than a moment when much memory has to be given back."""

_LAST_WORDS_BYTES = 2000
_LOG_BYTES = 16 * 2**20


class RankRecord(Declared):
    """What the agent knows of the rank it started last, for the agent after it."""

    generation: int
    agreement: str | None
    boot: str
    killed: bool = False


class RankProcess:
    """Keeps the one rank that may live on this machine. Not safe for use from several threads.

    `grace_seconds` are between SIGTERM and SIGKILL: a rank that is killed may leave its wired memory behind until a
    reboot.
    """

    def __init__(
        self, state: Path, log: Path, *, boot: str = "", grace_seconds: float, program: Sequence[str] = PROGRAM
    ) -> None:
        self._state = state
        self._log = log
        self._grace = grace_seconds
        self._program = program
        self._boot = boot
        self._process: Popen[bytes] | None = None
        self._record = _read_record(self._record_file, boot)
        self._log_start = 0
        self._stopped = False
        self._stopping: asyncio.Task[None] | None = None
        # It is there before the disk can be full.
        os.close(self._open_lock())

    @property
    def status_file(self) -> Path:
        """Where the rank tells of itself."""
        return self._state / "rank.status.json"

    @property
    def tick_file(self) -> Path:
        """Where the rank counts its steps."""
        return self._state / "rank.ticks"

    @property
    def stopped(self) -> bool:
        """Whether the last rank was told to end, and did in its time."""
        return self._stopped

    def pid(self) -> int | None:
        """Of the rank that lives here, once it has told."""
        status = read_status(self.status_file)
        # While the lock is held, whoever wrote the status lives and the pid is its own.
        return status.pid if status is not None and self.lives() else None

    def lives(self) -> bool:
        """Whether any rank process lives here, also one that an earlier agent started."""
        if self._child_lives():
            return True
        lock = self._lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def start(self, spec: RankSpec, agreement: str | None = None) -> None:
        """Start a generation's rank; to start the generation that is here already changes nothing.

        Raises StartRefused while another rank lives and for a generation that is over, OSError when the disk is full.
        """
        before = self._record
        if before is not None and before.generation == spec.generation:
            return
        what = f"cannot start generation {spec.generation} on {spec.machine}"
        if before is not None and before.agreement == agreement and before.generation > spec.generation:
            raise StartRefused(f"{what}: generation {before.generation} was here already.")
        # While one is being stopped, the next would get the signals meant for it.
        stopping = self._stopping is not None and not self._stopping.done()
        lock = None if stopping else self._lock()
        if lock is None:
            raise StartRefused(f"{what}: the rank before it has not ended.")
        try:
            self._launch(spec, agreement, lock)
        finally:
            os.close(lock)

    def let_in(self, generation: int) -> None:
        """Let the rank that has checked its weights join the others; a second time changes nothing."""
        process, here = self._process, None if self._record is None else self._record.generation
        if process is None or process.stdin is None or generation != here:
            raise StartRefused(f"cannot let generation {generation} in: generation {here} is here.")
        with suppress(BrokenPipeError, ValueError), process.stdin:  # it has ended; it was let in
            process.stdin.write(b"join\n")

    def stop(self) -> asyncio.Task[None]:
        """Begin to end whatever rank lives; awaiting the result waits until it is gone."""
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.create_task(self._end())
        return self._stopping

    def report(self) -> RankReport | None:
        """What is known of the last rank; None when there was none since this machine's boot."""
        status = read_status(self.status_file)
        living, record = self.lives(), self._record
        if record is None and not living:
            return None
        told = status.generation if status is not None else None
        return RankReport(
            generation=told if record is None else record.generation,
            living=living,
            status=status,
            tick=read_tick(self.tick_file),
            agreement=None if record is None else record.agreement,
            exit_code=None if self._process is None else self._process.poll(),
            suspended=living and _is_suspended(self.pid()),
            killed=record is not None and record.killed,
            last_words="" if living else self._last_words(),
        )

    def trim_log(self) -> None:
        """Keep the log bounded: the rank appends, so what was copied away can be cut off under it."""
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            with suppress(OSError):  # a full disk needs the cut more than the copy
                shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
            os.truncate(self._log, 0)
            self._log_start = 0

    @property
    def _record_file(self) -> Path:
        return self._state / "rank.record.json"

    def _child_lives(self) -> bool:
        if self._process is None or self._process.poll() is None:
            return self._process is not None
        if self._process.stdin is not None:
            self._process.stdin.close()  # one that ended before it was let in
        return False

    def _lock(self) -> int | None:
        descriptor = self._open_lock()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _open_lock(self) -> int:
        return os.open(self._state / "rank.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _launch(self, spec: RankSpec, agreement: str | None, lock: int) -> None:
        for left_over in (self.status_file, self.tick_file):
            left_over.unlink(missing_ok=True)
        spec_file = self._state / "rank.spec.json"
        replace(spec_file, spec.model_dump_json())
        record = RankRecord(generation=spec.generation, agreement=agreement, boot=self._boot)
        replace(self._record_file, record.model_dump_json())
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = Popen(
                [*self._program, str(spec_file)],
                stdin=PIPE,
                stdout=log,
                stderr=STDOUT,
                pass_fds=[lock],
                start_new_session=True,
                bufsize=0,
            )
        self._record = record
        self._stopped = False

    async def _end(self) -> None:
        if not self.lives():
            return
        self._signal(signal.SIGTERM)
        # A stopped process takes no SIGTERM until it goes on.
        self._signal(signal.SIGCONT)
        if await _until(lambda: not self.lives(), self._grace):
            self._stopped = True
            return
        self._note_killing()
        self._signal(signal.SIGKILL)
        await _until(lambda: not self.lives(), _KILL_SECONDS)

    def _note_killing(self) -> None:
        logging.warning(
            "The rank did not end within %g seconds of SIGTERM and is killed; its wired memory may be lost until this "
            "machine restarts.",
            self._grace,
        )
        if self._record is not None:
            self._record = self._record.model_copy(update={"killed": True})
            with suppress(OSError):  # the log has it
                replace(self._record_file, self._record.model_dump_json())

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # does nothing once it has ended
            return
        pid = self.pid()
        if pid is not None:
            with suppress(ProcessLookupError):  # it ended since
                os.kill(pid, number)

    def _last_words(self) -> str:
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(min(self._log_start, size), size - _LAST_WORDS_BYTES))
            return log.read().decode(errors="replace").strip()


def _read_record(path: Path, boot: str) -> RankRecord | None:
    try:
        record = RankRecord.model_validate_json(path.read_text())
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
    return record if record.boot == boot else None


def _is_suspended(pid: int | None) -> bool:
    if pid is None:
        return False
    with suppress(psutil.Error):  # it ended since
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return False


async def _until(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while not is_so():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
