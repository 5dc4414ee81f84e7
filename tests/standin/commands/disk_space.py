"""`df`: how full the Mac's disk is.

A Mac's volumes share one container: the sealed system and the data have the same blocks and the same room left. A
stand-in's own disk is much smaller than a Mac's; what is used is the truth, what is left is the hardware's
(`disk_free_bytes`, of a Mac nothing was put on yet).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.standin.commands.replies import unsupported
from tests.standin.mac import Call, Command, Mac, Reply

SYSTEM_BYTES = 12 << 30
"""What macOS itself takes."""
SYSTEM, DATA, DEVICES = "/dev/disk3s1s1", "/dev/disk3s5", "devfs"
MOUNTED_ON = {SYSTEM: "/", DEVICES: "/dev", DATA: "/System/Volumes/Data"}
ON_DATA = ("/Applications", "/Library", "/Users", "/Volumes", "/opt", "/private", "/usr/local", MOUNTED_ON[DATA])
FLAGS = frozenset("kP")
INODES_PER_BLOCK = 10
HEAD = ("Filesystem", "1024-blocks")


def df(mac: Mac, call: Call) -> Reply:
    """`-k`, with paths or for every volume; `-P` leaves the inodes out. A missing path costs the exit code alone."""
    arguments = call.argv[1:]
    flags = {flag for argument in arguments if argument.startswith("-") for flag in argument[1:]}
    paths = [argument for argument in arguments if not argument.startswith("-")]
    if "k" not in flags or flags - FLAGS:
        return unsupported(call)
    missing = [path for path in paths if not os.path.exists(path)]
    volumes = [_volume(path) for path in paths if path not in missing] if paths else list(MOUNTED_ON)
    return Reply(
        stdout=_table(mac, volumes, inodes="P" not in flags) if volumes else "",
        stderr="".join(f"df: {path}: No such file or directory\n" for path in missing),
        code=1 if missing else 0,
    )


COMMANDS: dict[str, Command] = {"/bin/df": df}


def used_bytes(mac: Mac) -> int:
    """What lies on the Mac's own disk."""
    directory = mac.memory.directory
    return shutil.disk_usage(directory if directory.exists() else directory.parent).used


def _volume(path: str) -> str:
    real = str(Path(path).resolve())
    if real == "/dev" or real.startswith("/dev/"):
        return DEVICES
    return DATA if any(real == top or real.startswith(f"{top}/") for top in ON_DATA) else SYSTEM


def _table(mac: Mac, volumes: list[str], *, inodes: bool) -> str:
    rows = [_row(mac, volume) for volume in volumes]
    first, second = (max(len(row[column]) for row in [HEAD, *rows]) for column in (0, 1))
    head = f"{HEAD[0]:<{first}} {HEAD[1]:>{second}}      Used Available Capacity"
    lines = [f"{head}{' iused      ifree %iused ' if inodes else ''} Mounted on"]
    for name, blocks, used, available, share, inodes_used, inodes_free, mounted in rows:
        counted = f" {inodes_used:>5} {inodes_free:>10} {0:>5}% " if inodes else ""
        lines.append(f"{name:<{first}} {blocks:>{second}} {used:>9} {available:>9} {share:>7}%{counted} {mounted}")
    return "".join(f"{line}\n" for line in lines)


def _row(mac: Mac, volume: str) -> tuple[str, ...]:
    """Name, blocks, used, available, percentage used, inodes used and free, and where it is mounted."""
    if volume == DEVICES:
        return (DEVICES, "205", "205", "0", "100", "712", "0", MOUNTED_ON[DEVICES])
    written = used_bytes(mac)
    available = max(0, mac.machine.disk_free_bytes - written)
    blocks = (max(mac.machine.disk_free_bytes, written) + SYSTEM_BYTES) >> 10
    used = (SYSTEM_BYTES if volume == SYSTEM else written) >> 10
    share = -(-100 * used // max(1, used + (available >> 10)))
    numbers = (blocks, used, available >> 10, share, used // INODES_PER_BLOCK, (available >> 10) * INODES_PER_BLOCK)
    return (volume, *(str(number) for number in numbers), MOUNTED_ON[volume])
