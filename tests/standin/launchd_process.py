"""One running process of a launchd job: started through the proxy, ended with SIGTERM and then SIGKILL.

Its exit is watched through a pidfd on the event loop, so no thread and no signal handler is involved.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.standin.launchd_plist import JobPlist

PROXY = Path(__file__).with_name("launchd_proxy.py")
DEFAULT_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
DEFAULT_UMASK = 0o022


class JobProcess:
    """A process from its start until `exited` holds its status (negative: the signal that ended it)."""

    def __init__(self, job: JobPlist) -> None:
        self.state = "running"
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._abandons_group = job.abandon_process_group
        self._child = _start(job)
        self._watch = os.pidfd_open(self._child.pid)
        asyncio.get_running_loop().add_reader(self._watch, self._reap)

    @property
    def pid(self) -> int:
        """The process id, which is also its process group."""
        return self._child.pid

    def send(self, number: int) -> None:
        """Send a signal to the process alone, as launchd does."""
        self._child.send_signal(number)

    async def end(self, grace_seconds: float | None) -> None:
        """Ask it to end, wait so long (None: for ever), then kill it; returns when it is gone."""
        self.state = "SIGTERMed"
        self.send(signal.SIGTERM)
        await asyncio.wait({self.exited}, timeout=grace_seconds)
        if not self.exited.done():
            self.state = "SIGKILLed"
            self.send(signal.SIGKILL)
            await asyncio.wait({self.exited})

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watch)
        os.close(self._watch)
        status = self._child.wait()
        if not self._abandons_group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
        self.exited.set_result(status)


def _start(job: JobPlist) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", str(PROXY)], stdin=subprocess.PIPE, cwd="/", env={}, start_new_session=True
    )
    assert child.stdin is not None  # a pipe was asked for
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(json.dumps(_order(job)).encode())
    return child


def _order(job: JobPlist) -> dict[str, object]:
    """What the proxy is told, complete: it knows no defaults of its own but the limit of open files."""
    return {
        "program": job.program,
        "arguments": job.arguments,
        "environment": {"PATH": DEFAULT_PATH, **job.environment_variables, "XPC_SERVICE_NAME": job.label},
        "user_name": job.user_name,
        "group_name": job.group_name,
        "working_directory": job.working_directory or "/",
        "standard_out_path": job.standard_out_path,
        "standard_error_path": job.standard_error_path,
        "soft_files": job.soft_files,
        "hard_files": job.hard_files,
        "umask": DEFAULT_UMASK if job.umask is None else job.umask,
        "nice": job.nice,
    }
