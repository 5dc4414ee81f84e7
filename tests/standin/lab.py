"""The stand-in Macs as tests and inventories use them.

Nothing heavy is imported here, because an inventory does so inside pyinfra: bringing up and taking down are left to
`python -m tests.standin`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.standin import snapshot
from tests.standin.answering import answers, wait_until_answering
from tests.standin.calls import call
from tests.standin.fault import change
from tests.standin.faults import FAULTS
from tests.standin.mac import INSIDE, Machine, Rack, Reply
from tests.standin.state import State
from tests.standin.unavailable import LabUnavailable, refuse_unfit_machine

__all__ = ["Lab", "LabUnavailable", "ensure_up", "for_inventory"]

BOOT_SECONDS = 30.0
POWER_BUTTON, PLUG_PULLED = signal.SIGUSR1, signal.SIGHUP
_CHECKOUT = Path(__file__).parents[2]


def ensure_up() -> Lab:
    """The default lab; brings it up first when it is not, and says so on standard error."""
    refuse_unfit_machine()
    lab = Lab()
    if not lab.is_up():
        print("stand-in Macs: bringing the lab up", file=sys.stderr)
        lab.up()
    return lab


def for_inventory() -> Lab:
    """The default lab for an inventory file: up, or pyinfra's own clean refusal."""
    from pyinfra.api.exceptions import InventoryError

    try:
        return ensure_up()
    except LabUnavailable as reason:
        raise InventoryError(str(reason)) from reason


@dataclass(frozen=True)
class Lab:
    """One rack of stand-in Macs on this machine. A name that is not in the rack raises LookupError."""

    files: State = field(default_factory=State)

    @property
    def state(self) -> Path:
        """The directory of the lab's files."""
        return self.files.directory

    @property
    def key(self) -> Path:
        """The private key of `admin`."""
        return self.files.key

    @property
    def known_hosts(self) -> Path:
        """The Macs' host keys."""
        return self.files.known_hosts

    def up(self) -> None:
        """Bring the lab up, and return when every Mac answers SSH."""
        self._command("up")

    def down(self) -> None:
        """Take the lab down, whatever is left of it."""
        self._command("down")

    def _command(self, verb: str) -> None:
        argv = [sys.executable, "-m", "tests.standin", verb]
        done = subprocess.run(argv, cwd=_CHECKOUT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabUnavailable(done.stderr.strip())

    def is_up(self) -> bool:
        """Whether the hardware of every Mac is there, switched on or off."""
        # Not asked of the rack: an aborted run may have left one behind that only another version of this can read.
        names = [file.stem for file in self.state.glob("*.pid")]
        return self.files.healthy_file.exists() and bool(names) and all(map(self._hardware_runs, names))

    def _hardware_runs(self, name: str) -> bool:
        try:
            return bytes(self.state) in Path(f"/proc/{self.hardware(name)}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            return False

    def rack(self) -> Rack:
        """The hardware, read now."""
        return self.files.rack()

    def machine(self, name: str) -> Machine:
        """One Mac's hardware, read now."""
        return self.rack().machines[name]

    def hardware(self, name: str) -> int:
        """The pid of the Mac's hardware."""
        return int(self.files.hardware_pid(name).read_text())

    def is_on(self, name: str) -> bool:
        """Whether the Mac is switched on."""
        return self.files.pid1_file(name).exists()

    def pid1(self, name: str) -> int:
        """The pid, on the Linux machine, of the Mac's first process; LookupError while it is off."""
        if not self.is_on(name):
            raise LookupError(f"{name} is switched off")
        return int(self.files.pid1_file(name).read_text())

    def root(self, name: str) -> Path:
        """The Mac's `/`, by another road than SSH."""
        return Path(f"/proc/{self.pid1(name)}/root")

    def call(self, name: str, *argv: str) -> Reply:
        """Run one of Apple's commands as root, by another road than SSH; `argv[0]` is its absolute path."""
        return call(self.root(name) / INSIDE.relative_to("/") / "run/darwin.sock", list(argv))

    def tree(self, name: str) -> dict[str, str]:
        """What a deploy could have changed: files, macOS's memory, loaded jobs; see `snapshot`."""
        disk = Path(f"/proc/{self.hardware(name)}/root{self.files.stage}/disk")
        return snapshot.files(disk) | snapshot.jobs(self.call(name, "/bin/launchctl", "list"))

    def offer(self, name: str, *versions: str) -> None:
        """What Apple offers a Mac from now on: versions of `macos_releases`; none is nothing new."""
        change(self, self.machine(name).name, {"offered": versions})

    def fault(self, name: str, machine: str) -> None:
        """Put a fault in; it is in when this returns."""
        FAULTS[name].put(self, self.machine(machine).name)

    def mend(self, name: str, machine: str) -> None:
        """Take a fault out again."""
        FAULTS[name].mend(self, self.machine(machine).name)

    def reboot(self, name: str) -> None:
        """Restart macOS as `shutdown -r now` does, and wait until SSH answers on the new boot."""
        pid1 = self.pid1(name)
        self.call(name, "/sbin/shutdown", "-r", "now")
        self.wait_until_rebooted(name, pid1)

    def wait_until_rebooted(self, name: str, old_pid1: int) -> None:
        """Wait until the macOS whose first process this was has ended, and SSH answers on the next."""
        with _watch(old_pid1) as ended:
            ended.wait()
        self.wait_until_on(name)

    def pull_plug(self, name: str) -> None:
        """Cut the power, and wait until nothing runs any more."""
        with _watch(self.pid1(name)) as ended:
            os.kill(self.hardware(name), PLUG_PULLED)
            ended.wait()
        while self.is_on(name):  # until the hardware has taken its own ports down too
            if not self._hardware_runs(name):
                raise LabUnavailable(f"cannot cut the power of {name}: its hardware has ended. Take the lab down.")
            time.sleep(0.01)

    def press_power_button(self, name: str) -> None:
        """Switch a Mac on, and wait until SSH answers."""
        os.kill(self.hardware(name), POWER_BUTTON)
        self.wait_until_on(name)

    def answers(self, name: str) -> bool:
        """Whether the Mac answers SSH."""
        return answers(self.machine(name).address)

    def wait_until_on(self, name: str) -> None:
        """Wait until the Mac answers SSH; LabUnavailable with the end of its log when it does not."""
        if not wait_until_answering(self.machine(name).address, BOOT_SECONDS):
            log = self.files.log(name).read_text().strip()[-2000:]
            raise LabUnavailable(f"cannot reach {name}: no SSH after {BOOT_SECONDS:.0f} seconds. Its log ends:\n{log}")


class _watch:  # noqa: N801 - used as a function
    """Watches a process by a handle, so that another process that gets its pid is not mistaken for it."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def __enter__(self) -> _watch:
        return self

    def wait(self) -> None:
        select.select([self._handle], [], [])

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
