from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.standin import kernel
from tests.standin.conftest import Remote, wait_for
from tests.standin.faults import FAULTS
from tests.standin.kernel_network import SETTLING_SECONDS
from tests.standin.lab import Lab
from tests.standin.links import Links

pytestmark = pytest.mark.lab

ENDS = {"mac-1": ("en3", "10.99.0.1"), "mac-2": ("en3", "10.99.0.2")}


@contextmanager
def fault(lab: Lab, name: str, machine: str) -> Iterator[None]:
    lab.fault(name, machine)
    try:
        yield
    finally:
        lab.mend(name, machine)


@pytest.fixture(scope="module")
def cable(lab: Lab) -> Iterator[None]:
    """The first cable of mac-1 and mac-2, taken out of the bridge and addressed at both ends."""
    for name, (port, address) in ENDS.items():
        lab.call(name, "/sbin/ifconfig", "bridge0", "deletem", port)
        lab.call(name, "/sbin/ifconfig", port, "up")
        lab.call(name, "/sbin/ifconfig", port, "inet", f"{address}/30", "alias")
    time.sleep(SETTLING_SECONDS + 0.2)
    yield
    for name, (port, address) in ENDS.items():
        lab.call(name, "/sbin/ifconfig", port, "inet", address, "-alias")
        lab.call(name, "/sbin/ifconfig", "bridge0", "addm", port)


def carriers(lab: Lab) -> list[bool]:
    found = []
    for name, (port, _) in ENDS.items():
        with kernel.inside_network(lab.pid1(name)):
            links = Links()
        found.append(links.has_carrier(port))
        links.close()
    return found


def crosses(lab: Lab) -> bool:
    """Whether mac-1 reaches mac-2 over the cable."""
    with kernel.inside_network(lab.pid1("mac-1")):
        probe = socket.socket()
    with probe:
        probe.settimeout(0.5)
        return probe.connect_ex((ENDS["mac-2"][1], 22)) == 0


def test_a_pulled_cable_is_dead_for_both_macs_and_lives_again(lab: Lab, cable: None) -> None:
    # Linux tells of a carrier that comes or goes a moment after the fact, as macOS does.
    assert wait_for(lambda: (carriers(lab), crosses(lab)) == ([True, True], True))

    with fault(lab, "cable-missing", "mac-1"):
        assert wait_for(lambda: carriers(lab) == [False, False])
        assert not crosses(lab)
        assert not any(True for end in [("mac-1", 2), ("mac-2", 2)] if lab.rack().across(*end))

    assert wait_for(lambda: carriers(lab) == [True, True])
    assert wait_for(lambda: crosses(lab))


def test_a_silent_cable_looks_alive_at_both_ends(lab: Lab, cable: None) -> None:
    assert wait_for(lambda: (carriers(lab), crosses(lab)) == ([True, True], True))

    with fault(lab, "cable-silent", "mac-1"):
        assert not crosses(lab)
        assert carriers(lab) == [True, True]

    assert wait_for(lambda: crosses(lab))


def test_a_port_that_goes_down_takes_the_neighbours_carrier_along(lab: Lab, cable: None) -> None:
    lab.call("mac-2", "/sbin/ifconfig", "en3", "down")
    is_down = wait_for(lambda: carriers(lab) == [False, False])
    lab.call("mac-2", "/sbin/ifconfig", "en3", "up")

    assert is_down


def test_an_address_stays_when_an_older_one_of_its_subnet_goes(lab: Lab) -> None:
    for change in (["10.98.0.1/24", "alias"], ["10.98.0.2/24", "alias"], ["10.98.0.1", "-alias"]):
        lab.call("mac-3", "/sbin/ifconfig", "en5", "inet", *change)
    shown = lab.call("mac-3", "/sbin/ifconfig", "en5").stdout
    lab.call("mac-3", "/sbin/ifconfig", "en5", "inet", "10.98.0.2", "-alias")

    assert [line.split()[1] for line in shown.splitlines() if "inet " in line] == ["10.98.0.2"]


def test_a_frozen_mac_answers_nothing_until_it_thaws(lab: Lab) -> None:
    with fault(lab, "frozen", "mac-4"):
        assert not lab.answers("mac-4")

    assert lab.answers("mac-4")


def test_a_mac_without_power_is_gone_and_comes_back_with_its_disk(lab: Lab, connect: Callable[[str], Remote]) -> None:
    connect("mac-3").run("echo kept > kept; echo lost > /tmp/lost")

    with fault(lab, "power-off", "mac-3"):
        assert (lab.is_on("mac-3"), lab.answers("mac-3")) == (False, False)

    assert connect("mac-3").run("cat kept; ls /tmp; rm kept").stdout == "kept\n"


def test_macos_26_1_is_another_boot_without_rdma_tools(lab: Lab, connect: Callable[[str], Remote]) -> None:
    question = "sysctl -n kern.bootsessionuuid; sw_vers -buildVersion; rdma_ctl status"
    before = connect("mac-4").run(question)

    with fault(lab, "macos-26.1", "mac-4"):
        during = connect("mac-4").run(question)

    assert before.stdout.splitlines()[1:] == ["25D125", "enabled"]
    assert during.stdout.splitlines()[1:] == ["25B78"]
    assert during.code == 127
    assert before.stdout.split()[0] != during.stdout.split()[0]


def test_a_mac_with_filevault_on_waits_at_its_unlock_screen_after_a_restart(lab: Lab) -> None:
    with fault(lab, "filevault-on", "mac-4"):
        lab.call("mac-4", "/sbin/shutdown", "-r", "now")
        went_off = wait_for(lambda: not lab.is_on("mac-4"))
        stays_off = not wait_for(lambda: lab.is_on("mac-4"), seconds=6)
        lab.press_power_button("mac-4")

    assert went_off
    assert stays_off
    assert lab.answers("mac-4")


@pytest.mark.parametrize("name", ["cable-40", "chip-m4-mini", "rdma-off"])
def test_faults_of_the_hardware_are_mended_without_a_trace(lab: Lab, name: str) -> None:
    healthy = lab.rack()

    with fault(lab, name, "mac-2"):
        assert lab.rack() != healthy

    assert lab.rack() == healthy


def test_an_unknown_fault_is_answered_with_those_there_are() -> None:
    argv = [sys.executable, "-m", "tests.standin", "fault", "gremlin", "mac-1"]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert all(name in done.stderr for name in FAULTS)
