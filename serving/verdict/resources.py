"""What there is to use up: the wired limit, disk, and the agreement of clocks. Memory is judged with the placement.

macOS lets the GPU wire about three quarters of the memory unless `iogpu.wired_limit_mb` says otherwise; a limit that
leaves the system less than 8 GiB or 1/16 has ended in watchdog panics. Reported of macOS 26 on 128 and 512 GB.
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.placement.memory import largest_limit_mb
from serving.seen import Mac, Resources
from serving.verdict.finding import Finding
from serving.verdict.view import View

GIB = 2**30
MIB = 2**20
DISK_RESERVE_BYTES = 3 * GIB


def resources(view: View) -> Iterator[Finding]:
    """What is short, or set too high, on each machine."""
    for name in view.machines:
        mac, left = view.mac(name), view.resources(name)
        if mac is not None:
            yield from _limit_declared(view, name, mac)
        if left is not None:
            yield from _limit_found(view, name, left)
            yield from _disk(view, name, left)
            yield from _clock(view, name, left)


def _limit_declared(view: View, name: str, mac: Mac) -> Iterator[Finding]:
    declared, largest = view.cluster.machine(name).wired_limit_mb, largest_limit_mb(mac.memory_bytes)
    if declared is not None and declared > largest:
        seen = f"asked for {declared} MB, the machine has {mac.memory_bytes // MIB} MB"
        remedy = f"Declare wired_limit_mb={largest} or less, or leave it out."
        yield Finding(name, "wired limit", seen, f"at most {largest} MB, so that macOS keeps enough", remedy)


def _limit_found(view: View, name: str, left: Resources) -> Iterator[Finding]:
    declared = view.cluster.machine(name).wired_limit_mb
    if declared is not None and declared != left.wired_limit_mb:
        seen = f"{left.wired_limit_mb} MB" if left.wired_limit_mb else "macOS's own"
        remedy = "Run the deploy: dev.cidermill.links sets it, and again after every restart."
        yield Finding(name, "wired limit", seen, f"{declared} MB", remedy, "drift")


def _disk(view: View, name: str, left: Resources) -> Iterator[Finding]:
    replica, free = view.cluster.replica_of(name), left.disk_free_bytes
    size = view.weights_bytes.get(replica.weights, 0) if replica else 0
    if free < DISK_RESERVE_BYTES:
        needed = f"{_gib(DISK_RESERVE_BYTES)}, and the weights on top if they are not there yet"
        yield Finding(name, "disk", f"{_gib(free)} free", needed, "Make room on the volume that holds /opt.")
    elif replica and free < size + DISK_RESERVE_BYTES:
        needed = f"{_gib(size + DISK_RESERVE_BYTES)} if '{replica.weights}' ({_gib(size)}) is not there yet"
        remedy = "Nothing, if the weights are there already; otherwise make room on the volume that holds /opt."
        yield Finding(name, "disk", f"{_gib(free)} free", needed, remedy, "note")


def _clock(view: View, name: str, left: Resources) -> Iterator[Finding]:
    within = view.cluster.headless.clock_within_seconds if view.cluster.headless else None
    if within is not None and abs(left.clock_ahead_seconds) > within:
        seen = f"{abs(left.clock_ahead_seconds):.0f} s {'ahead' if left.clock_ahead_seconds > 0 else 'behind'}"
        remedy = "Set it there: `sudo sntp -sS time.apple.com`, or correct the clock of the machine you type on."
        yield Finding(name, "clock", seen, f"within {within} s of this machine's", remedy)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
