"""Another macOS for one Mac. `--data` gives label, password, how many seconds a restart and mending may take, and how
much faster than on a wall its clock goes.
"""

import time

from pyinfra import host
from pyinfra.api import HiddenValue

from operations import macos_update
from operations.returning import Clock

SPEED = float(host.data.get("speed") or 1)
CLOCK = Clock(now=lambda: SPEED * time.monotonic(), pause=lambda seconds: time.sleep(seconds / SPEED))
WHAT = {
    "build": "25E246",
    "version": "26.4",
    "label": host.data.label,
    "directory": "/opt/trial-macos",
    "clock": CLOCK,
}

macos_update.fetched(**WHAT, name="Fetch macOS", within_seconds=600)
macos_update.updated(
    **WHAT,
    name="Update macOS",
    user="admin",
    password=HiddenValue(host.data.password),
    install_within_seconds=600,
    restart_within_seconds=int(host.data.get("restart") or 60),
    mended_within_seconds=int(host.data.get("mended") or 60),
    unmended=lambda read: [] if read["rdma"].get("status") == "enabled" else [f"RDMA: {read['rdma']}"],
)
