"""A Mac's hardware, one process per Mac: `python -m tests.standin.power DIRECTORY NAME`.

It holds the disk, in a mount namespace of its own, and the receptacles, in a network namespace of its own, and boots
macOS in more namespaces below. Whatever kills it ends the Mac, and leaves nothing behind.

Signals are its switches: SIGUSR1 is the power button, SIGHUP the plug being pulled. It starts switched off.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tests.standin import kernel
from tests.standin.disk import create_disk
from tests.standin.firmware import ETHERNET_RECEPTACLE, boot, exit_code, fork, set_up_network
from tests.standin.kernel_network import receptacle_name
from tests.standin.links import Links
from tests.standin.mac import Ending, Memory
from tests.standin.macos_releases import install
from tests.standin.state import State

POWER_BUTTON, PLUG_PULLED = signal.SIGUSR1, signal.SIGHUP
FIRMWARE_SECONDS = 2
FILEVAULT = "filevault"
_SIGNALS = {POWER_BUTTON, PLUG_PULLED, signal.SIGCHLD}


class Hardware:
    """Waits for its switches, and for macOS to end."""

    def __init__(self, state: State, name: str) -> None:
        kernel.unshare(kernel.NEW_MOUNTS | kernel.NEW_NETWORK)
        kernel.mount("none", Path("/"), flags=kernel.RECURSIVE | kernel.PRIVATE)
        set_up_network()
        create_disk(state.stage, state.key.with_suffix(".pub").read_text(), state.host_key(name))
        self._state = state
        self._name = name
        self._receptacles = Links()
        self._macos: int | None = None

    def run(self) -> NoReturn:
        """Never returns; what is forked from here leaves by SystemExit."""
        while True:
            pressed = signal.sigwait(_SIGNALS)
            if self._macos is None:
                if pressed == POWER_BUTTON:
                    self._boot()
            elif pressed == PLUG_PULLED:
                self._kill()
                self._after(exit_code(os.waitpid(self._macos, 0)[1]))
            elif pressed == signal.SIGCHLD:
                # The signal can be an old one, of a macOS that was seen to end already.
                ended, status = os.waitpid(self._macos, os.WNOHANG)
                if ended:
                    self._after(exit_code(status))

    def _boot(self) -> None:
        machine = self._state.rack().machines[self._name]
        self._receptacles.set_up(ETHERNET_RECEPTACLE, True)
        self._macos = fork(lambda: boot(self._state, machine, self._receptacles))

    def _kill(self) -> None:
        pid1 = self._state.pid1_file(self._name)
        os.kill(int(pid1.read_text()) if pid1.exists() else self._macos, signal.SIGKILL)

    def _after(self, ended: int) -> None:
        self._macos = None
        for receptacle in (ETHERNET_RECEPTACLE, *map(receptacle_name, self._state.rack().machines[self._name].ports)):
            self._receptacles.set_up(receptacle, False)
        self._state.pid1_file(self._name).unlink(missing_ok=True)
        print(f"{self._name}: macOS ended with {ended}", file=sys.stderr, flush=True)
        if ended == Ending.REBOOT and signal.sigtimedwait({PLUG_PULLED}, FIRMWARE_SECONDS) is None:
            memory = Memory(self._state.stage / "disk" / "memory")
            install(self._state, self._name, memory)
            # With FileVault on it waits for somebody to unlock it, who presses the power button here.
            if self._state.rack().machines[self._name].comes_back and not memory.read(FILEVAULT, False):
                self._boot()


def processors(place: int, count: int) -> set[int]:
    """The processors of one of so many Macs, whatever runs on it.

    A packet to another Mac never takes the processor from who sends it. On one kernel it would: whoever is woken by a
    packet runs at once where it was sent from. By that a rank of MLX's ring meets its neighbour before that one listens
    most of the time, and MLX waits a second then.
    """
    present = sorted(os.sched_getaffinity(0))
    shares = min(count, len(present))
    return {each for number, each in enumerate(present) if number % shares == place % shares}


def main() -> None:
    """Become the hardware of one Mac, in the background; its pid appears on standard output once the switches work."""
    directory, name = sys.argv[1:]
    if os.fork():
        return
    os.setsid()
    os.umask(0o022)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    state = State(Path(directory))
    os.sched_setaffinity(0, processors(list(state.rack().machines).index(name), len(state.rack().machines)))
    hardware = Hardware(state, name)
    state.hardware_pid(name).write_text(str(os.getpid()))
    print(os.getpid(), flush=True)
    os.dup2(2, 1)
    hardware.run()


if __name__ == "__main__":
    main()
