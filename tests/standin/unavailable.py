"""Whether stand-in Macs can run on this machine at all."""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path


class LabUnavailable(Exception):
    """The stand-in Macs cannot be had here; the message says why and what to do."""


def refuse_unfit_machine() -> None:
    """Raise LabUnavailable where no stand-in Mac can run."""
    if platform.system() != "Linux":
        raise LabUnavailable(f"cannot run stand-in Macs on {platform.system()}: they are made of Linux namespaces.")
    if os.geteuid() != 0:
        raise LabUnavailable("cannot run stand-in Macs as an ordinary user: namespaces and mounts need root. Use sudo.")
    if "overlay" not in Path("/proc/filesystems").read_text().split():
        raise LabUnavailable("cannot run stand-in Macs: this kernel has no overlay file system. Try: modprobe overlay")
    if Path(sys.base_prefix) == Path("/usr/local"):
        raise LabUnavailable(
            "cannot run stand-in Macs with the Python in /usr/local: a Mac needs that directory for itself. "
            "Use a Python of uv's: uv python install 3.11, then uv sync."
        )
    for package in ("asyncssh", "pyroute2"):
        if find_spec(package) is None:
            raise LabUnavailable(f"cannot run stand-in Macs: the Python package {package} is missing. Try: uv sync")
