"""A newer macOS that all stand-in Macs are offered, and its declaration."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.standin.commands.directory import ADMIN_PASSWORD
from tests.standin.fault import change
from tests.standin.lab import Lab

OLD, NEW = "25D125", "25E246"


@contextmanager
def offered(lab: Lab) -> Iterator[Lab]:
    """All Macs with macOS 26.3, and 26.4 on offer; afterwards with 26.3 again."""
    names = list(lab.rack().machines)
    for name in names:
        lab.offer(name, "26.4")
    try:
        yield lab
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(partial(_put_back, lab), names))


@contextmanager
def offered_to_the_others(lab: Lab, ahead: str) -> Iterator[Lab]:
    """As `offered`, but for a Mac that has it already."""
    with offered(lab):
        change(lab, ahead, {"macos": "26.4", "build": NEW})
        lab.reboot(ahead)
        yield lab


def _put_back(lab: Lab, name: str) -> None:
    lab.offer(name)
    if build(lab, name) != OLD:
        lab.mend("macos-26.1", name)  # puts back what it came up with, and restarts


def build(lab: Lab, name: str) -> str:
    """The build that a Mac runs."""
    return lab.call(name, "/usr/bin/sw_vers", "-buildVersion").stdout.strip()


def update(directory: Path) -> dict[str, Any]:
    """`macos.update` for 26.4, with the volume owner's password in a file of this directory."""
    password = directory / "macs.password"
    password.touch(0o600)
    password.write_text(f"{ADMIN_PASSWORD}\n")
    owner = {"user": "admin", "password": {"file": str(password)}}
    return {"version": "26.4", "build": NEW, "volume_owner": owner, "mended_within_seconds": 120}
