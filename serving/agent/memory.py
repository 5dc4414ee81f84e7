"""How much memory a process holds, and how short of it this machine is. Cheap enough to ask every few seconds.

On macOS resident size leaves out what Metal has allocated, which is nearly all of a rank; the footprint has it, and is
what the kernel goes by when it ends a process for memory. libproc tells it of processes of the same user (libproc.h
and sys/resource.h of macOS 26). Linux has the resident size in /proc.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import suppress
from pathlib import Path

from serving.api import Pressure

_LEVELS: dict[str, Pressure] = {"1": "normal", "2": "warning", "4": "critical"}
_SYSCTL = ("/usr/sbin/sysctl", "-n", "kern.memorystatus_vm_pressure_level")
_TIMEOUT_SECONDS = 5.0


class _Usage(ctypes.Structure):
    # rusage_info_v0
    _fields_ = (
        ("uuid", ctypes.c_uint8 * 16),
        *(
            (name, ctypes.c_uint64)
            for name in (
                *("user_time", "system_time", "pkg_idle_wkups", "interrupt_wkups", "pageins"),
                *("wired_size", "resident_size", "phys_footprint", "proc_start_abstime", "proc_exit_abstime"),
            )
        ),
    )


def held(pid: int) -> int | None:
    """The bytes that a process holds, or None when that cannot be told."""
    statm = Path(f"/proc/{pid}/statm")
    with suppress(OSError, ValueError, IndexError):
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    usage = _Usage()
    with suppress(AttributeError, OSError):  # no such function here
        if ctypes.CDLL(None).proc_pid_rusage(pid, 0, ctypes.byref(usage)) == 0:
            return int(usage.phys_footprint)
    return None


async def pressure() -> Pressure | None:
    """The kernel's own word for how short of memory this machine is, or None when it has none."""
    return _LEVELS.get((await said(*_SYSCTL) or "").strip())


async def said(*command: str) -> str | None:
    """What a program printed; None when it is not there, failed, or did not end in time."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            printed, _ = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):  # it may have ended while we were the ones who got no time to look
            process.kill()
        await process.wait()
        return None
    return printed.decode(errors="replace") if process.returncode == 0 else None
