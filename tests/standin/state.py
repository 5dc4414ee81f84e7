"""Where a lab keeps its files on the Linux machine, and who may change them at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.standin.mac import Rack
from tests.standin.rack import read_rack, write_rack
from tests.standin.unavailable import LabUnavailable

PREFIX_LENGTH = 24
"""Of the management network, which the Linux machine and all Macs are on."""


@dataclass(frozen=True)
class State:
    """The files of one lab, and its bridge, which has this address on the Linux machine."""

    directory: Path = Path("/run/cidermill-lab")
    bridge: str = "cidermill0"
    address: str = "10.77.0.1"

    @property
    def rack_file(self) -> Path:
        """The hardware as it is."""
        return self.directory / "rack.json"

    @property
    def healthy_file(self) -> Path:
        """The hardware as it came up, to mend faults by; written last, so that a lab that has it is whole."""
        return self.directory / "healthy.json"

    @property
    def cached_marker(self) -> Path:
        """There when the Macs keep replies; see `reply_cache`."""
        return self.directory / "cached"

    @property
    def key(self) -> Path:
        """The private key that `admin` is reached with on every Mac; its public half has the suffix .pub."""
        return self.directory / "key"

    @property
    def known_hosts(self) -> Path:
        """The Macs' own host keys."""
        return self.directory / "known_hosts"

    @property
    def stage(self) -> Path:
        """An empty directory; each Mac mounts its disk here, in a mount namespace of its own."""
        return self.directory / "stage"

    def host_key(self, name: str) -> Path:
        """A Mac's private host key."""
        return self.directory / f"{name}.hostkey"

    def log(self, name: str) -> Path:
        """What a Mac's hardware and its resident process have to say."""
        return self.directory / f"{name}.log"

    def hardware_pid(self, name: str) -> Path:
        """The process that is a Mac's hardware."""
        return self.directory / f"{name}.pid"

    def pid1_file(self, name: str) -> Path:
        """The first process of a Mac that is switched on; absent while it is off."""
        return self.directory / f"{name}.pid1"

    def rack(self) -> Rack:
        """The hardware, read now; LabUnavailable when another version of this lab wrote it."""
        try:
            return read_rack(self.rack_file)
        except (KeyError, TypeError) as error:
            raise LabUnavailable(
                f"cannot read {self.rack_file}: another version of the stand-ins wrote it ({error}). "
                "Take the lab down: python -m tests.standin down"
            ) from None

    def healthy(self) -> Rack:
        """The hardware as it came up."""
        return read_rack(self.healthy_file)

    def write_rack(self, rack: Rack) -> None:
        """Change the hardware."""
        write_rack(self.rack_file, rack)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else brings labs up or down, or changes a rack."""
        # The lock is on the parent directory, which stays: a lock file of our own could not be removed safely.
        parent = os.open(self.directory.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(parent, fcntl.LOCK_EX)
            yield
        finally:
            os.close(parent)
