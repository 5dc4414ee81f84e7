"""Becomes one launchd job: the stand-in of macOS's xpcproxy.

launchd starts this small program instead of the job. It reads from standard input what the job asks for, becomes
the job's user, opens the job's files *as that user* and only then replaces itself with the job's program, so the
process id stays the same. Whatever of this fails ends with 78 (EX_CONFIG), which is what launchd then reports.

Runs with the standard library alone (`python -I -S`).
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import resource
import signal
import sys
from typing import Any

EX_CONFIG = 78
DEFAULT_SOFT_FILES = 256
"""Soft limit of open files for a job that asks for none (`launchctl limit maxfiles`)."""


def _limit_files(soft: int | None, hard: int | None) -> None:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard is None else hard
    wanted = DEFAULT_SOFT_FILES if soft is None else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, allowed), allowed))


def _become(user_name: str | None, group_name: str | None) -> None:
    user = pwd.getpwnam(user_name) if user_name else pwd.getpwuid(0)
    group = grp.getgrnam(group_name).gr_gid if group_name else user.pw_gid
    os.initgroups(user.pw_name, group)
    os.setgid(group)
    os.setuid(user.pw_uid)


def _open_output(path: str | None) -> int:
    if path is None:
        return os.open(os.devnull, os.O_WRONLY)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def _connect(out_path: str | None, error_path: str | None) -> None:
    opened = os.open(os.devnull, os.O_RDONLY), _open_output(out_path), _open_output(error_path)
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _restore_signals() -> None:
    """Python ignores these two at start, and an ignored signal stays ignored across exec."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def become_job(job: dict[str, Any]) -> None:
    """Turn this process into the job; returns only by raising OSError, KeyError or ValueError."""
    _limit_files(job["soft_files"], job["hard_files"])
    os.nice(job["nice"])
    os.umask(job["umask"])
    _become(job["user_name"], job["group_name"])
    os.chdir(job["working_directory"])
    os.stat(job["program"])  # before the files are opened, so that the fault is named on launchd's own log
    _connect(job["standard_out_path"], job["standard_error_path"])
    _restore_signals()
    os.execve(job["program"], job["arguments"], job["environment"])  # noqa: S606 - the job is what this is for


if __name__ == "__main__":
    try:
        become_job(json.load(sys.stdin))
    except (OSError, KeyError, ValueError) as error:
        print(f"xpcproxy: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
