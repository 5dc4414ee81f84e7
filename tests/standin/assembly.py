"""Bringing a lab up, and taking it down to the last file, also when only half of it is there."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import asyncssh

from tests.standin.mac import Rack
from tests.standin.power import POWER_BUTTON
from tests.standin.rack import write_rack
from tests.standin.state import State
from tests.standin.unavailable import LabUnavailable, refuse_unfit_machine
from tests.standin.wires import lay_wires, remove_wires, whose_bridge

ANOTHER_LAB_SECONDS = 900.0
_HARDWARE = "tests.standin.power"
_CHECKOUT = Path(__file__).parents[2]


def assemble(state: State, rack: Rack, *, cached: bool = False, wait_seconds: float = ANOTHER_LAB_SECONDS) -> None:
    """Build the rack and press every power button; the Macs boot on their own. Call it with the state locked.

    `cached` is for benchmarks: the Macs keep the replies of commands that only read, as `reply_cache` says. So long
    (`wait_seconds`) it waits for a lab in another directory that has the same bridge.
    """
    refuse_unfit_machine()
    _wait_for_another_lab(state, wait_seconds)
    disassemble(state)
    try:
        _write_files(state, rack)
        if cached:
            state.cached_marker.touch()
        starting = {name: _start_hardware(state, name) for name in rack.machines}
        hardware = {name: _ready(state, name, process) for name, process in starting.items()}
        lay_wires(state, rack, hardware)
    except BaseException:
        disassemble(state)
        raise
    for pid in hardware.values():
        os.kill(pid, POWER_BUTTON)
    write_rack(state.healthy_file, rack)


def disassemble(state: State) -> None:
    """End every process of the lab and remove its network and files; nothing there is fine too."""
    for pid in reversed(hardware_processes(state)):  # children first, so that their parents can still collect them
        _kill(pid)
    if not _is_anothers(state):
        remove_wires(state)
    shutil.rmtree(state.directory, ignore_errors=True)


def _is_anothers(state: State) -> bool:
    """Whether the bridge belongs to a lab in another directory, which runs."""
    owner = whose_bridge(state)
    return owner is not None and owner != state.directory and bool(hardware_processes(replace(state, directory=owner)))


def _wait_for_another_lab(state: State, seconds: float) -> None:
    """Two runs of the tests use the same addresses: the later one waits for the earlier, and breaks nothing."""
    end = time.monotonic() + seconds
    while _is_anothers(state):
        if time.monotonic() > end:
            raise LabUnavailable(
                f"cannot lay {state.bridge}: the lab in {whose_bridge(state)} has had it for "
                f"{seconds:.0f} seconds. Take that one down, then try again."
            )
        time.sleep(0.5)


def hardware_processes(state: State) -> list[int]:
    """The processes of this lab's Macs, hardware first; found by their command line, since pid files can be stale."""
    entries = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return sorted(int(entry.name) for entry in entries if _is_hardware(entry, state))


def _is_hardware(process: Path, state: State) -> bool:
    try:
        arguments = (process / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False  # it ended while the list was read
    return arguments[1:4] == [b"-m", _HARDWARE.encode(), bytes(state.directory)]


def _kill(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [])
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _write_files(state: State, rack: Rack) -> None:
    state.directory.mkdir(parents=True)
    state.stage.mkdir()
    state.write_rack(rack)
    _write_key(state.key, "cidermill")
    state.key.with_suffix(".pub").write_bytes(_public(state.key))
    lines = []
    for name, machine in rack.machines.items():
        _write_key(state.host_key(name), name)
        lines.append(machine.address.encode() + b" " + _public(state.host_key(name)))
    state.known_hosts.write_bytes(b"".join(lines))


def _write_key(file: Path, comment: str) -> None:
    file.touch(mode=0o600)
    file.write_bytes(asyncssh.generate_private_key("ssh-ed25519", comment=comment).export_private_key())


def _public(file: Path) -> bytes:
    return asyncssh.read_private_key(str(file)).export_public_key()


def _start_hardware(state: State, name: str) -> subprocess.Popen[str]:
    with state.log(name).open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", _HARDWARE, str(state.directory), name],
            cwd=_CHECKOUT,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _ready(state: State, name: str, process: subprocess.Popen[str]) -> int:
    pid, _ = process.communicate()
    if not pid:
        *_, reason = state.log(name).read_text().strip().splitlines() or ["it ended without a word"]
        raise LabUnavailable(f"cannot switch on {name}: {reason}. The lab needs to make namespaces and mounts.")
    return int(pid)
