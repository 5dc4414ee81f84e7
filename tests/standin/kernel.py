"""The Linux calls Python 3.11 has no name for: namespaces, mounts, and another user's rights on files.

Every function raises OSError with the kernel's own errno and the path it was about.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEW_MOUNTS, NEW_NETWORK, NEW_PIDS, NEW_IPC, NEW_HOSTNAME = 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000
READ_ONLY, NO_DEVICES, REMOUNT, BIND, RECURSIVE, PRIVATE = 0x1, 0x4, 0x20, 0x1000, 0x4000, 0x40000
_DETACH = 2
_SET_PARENT_DEATH_SIGNAL, _DROP_FROM_BOUNDING_SET = 1, 24
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

# By number, see capabilities(7): what would let a Mac's root reach past its Mac into the Linux machine.
_BEYOND_THE_MAC = {
    "SYS_MODULE": 16,
    "SYS_RAWIO": 17,
    "SYS_ADMIN": 21,
    "SYS_BOOT": 22,
    "SYS_TIME": 25,
    "MKNOD": 27,
    "MAC_OVERRIDE": 32,
    "MAC_ADMIN": 33,
    "SYSLOG": 34,
}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, about: str = "") -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)


def unshare(namespaces: int) -> None:
    """Leave the given namespaces for fresh ones; a fresh pid namespace starts with the next fork."""
    _check(_libc.unshare(namespaces))


def mount(source: str | Path, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    _check(
        _libc.mount(str(source).encode(), bytes(target), kind.encode(), ctypes.c_ulong(flags), options.encode()),
        f"{source} on {target}",
    )


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Show a directory or file a second time, below `target`."""
    mount(source, target, flags=BIND | RECURSIVE)
    if read_only:
        mount("none", target, flags=BIND | REMOUNT | READ_ONLY)


def make_root(directory: Path) -> None:
    """Make a mount point this process's root and let go of everything outside it."""
    os.chdir(directory)
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), str(directory))
    _check(_libc.umount2(b".", _DETACH), str(directory))
    os.chdir("/")


def die_with_parent() -> None:
    """Be killed as soon as the parent process ends, whatever ended it."""
    parent = os.getppid()
    _check(_libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def stay_inside() -> None:
    """Give up, for programs executed from here on, what not even root may do: mount, load modules, make devices."""
    for capability in _BEYOND_THE_MAC.values():
        _check(_libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0))


@contextmanager
def inside_network(of: int) -> Iterator[None]:
    """Act in the network namespace of a process: sockets made here belong to it for good."""
    here, there = (os.open(f"/proc/{who}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for who in ("thread-self", of))
    try:
        _check(_libc.setns(there, NEW_NETWORK), f"the network of process {of}")
        yield
    finally:
        _check(_libc.setns(here, NEW_NETWORK))
        os.close(here)
        os.close(there)


@contextmanager
def files_as(uid: int, gid: int) -> Iterator[None]:
    """Have this thread's file accesses judged as another user's, who also owns what they create."""
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(0)
