"""Looking at stand-in Macs by the road the product takes: SSH, with the client that pyinfra uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import paramiko
import pytest

from tests.standin.lab import Lab


@pytest.fixture(scope="session")
def lab(bare_lab: Lab) -> Lab:
    """Here the Macs are looked at for themselves."""
    return bare_lab


@dataclass(frozen=True)
class Outcome:
    """What a command did; a code of -1 is a death by signal."""

    code: int
    stdout: str
    stderr: str


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether the condition comes true in time; for what the kernel or another process does by itself."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


class Remote:
    """One SSH connection to a Mac as `admin`."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.client = paramiko.SSHClient()
        self.client.load_host_keys(str(lab.known_hosts))
        self.client.connect(
            lab.machine(name).address,
            username="admin",
            key_filename=str(lab.key),
            look_for_keys=False,
            allow_agent=False,
        )

    def run(self, command: str, stdin: str = "") -> Outcome:
        given, output, errors = self.client.exec_command(command, timeout=30)
        given.write(stdin)
        given.channel.shutdown_write()
        stdout, stderr = output.read().decode(), errors.read().decode()
        return Outcome(output.channel.recv_exit_status(), stdout, stderr)

    def close(self) -> None:
        self.client.close()


@pytest.fixture
def connect(lab: Lab) -> Iterator[Callable[[str], Remote]]:
    opened: list[Remote] = []

    def open_one(name: str) -> Remote:
        opened.append(Remote(lab, name))
        return opened[-1]

    yield open_one
    for remote in opened:
        remote.close()


@pytest.fixture
def mac_1(connect: Callable[[str], Remote]) -> Remote:
    return connect("mac-1")
