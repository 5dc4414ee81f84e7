from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.standin.assembly import assemble, disassemble, hardware_processes
from tests.standin.lab import Lab
from tests.standin.mac import Rack
from tests.standin.rack import mac_studio
from tests.standin.state import State
from tests.standin.unavailable import LabUnavailable, refuse_unfit_machine

pytestmark = pytest.mark.lab


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Lab]:
    """A lab of one Mac next to the default one."""
    try:
        refuse_unfit_machine()
    except LabUnavailable as reason:
        pytest.skip(str(reason))
    lab = Lab(State(tmp_path / "lab", "cidermill9", "10.79.0.1"))
    yield lab
    disassemble(lab.files)


def one_mac(lab: Lab) -> None:
    assemble(lab.files, Rack({"lone": mac_studio("lone", "10.79.0.11")}, ()))
    lab.wait_until_on("lone")


def leftovers(lab: Lab) -> list[str]:
    found = [str(pid) for pid in hardware_processes(lab.files)]
    found += [name for name in os.listdir("/sys/class/net") if name.startswith(lab.files.bridge)]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(lab.state) in line]
    return found + ([str(lab.state)] if lab.state.exists() else [])


def test_another_rack_comes_up_beside_and_leaves_nothing_behind(second: Lab) -> None:
    one_mac(second)
    pid1 = second.pid1("lone")

    assert second.answers("lone")
    disassemble(second.files)
    assert leftovers(second) == []
    assert not Path(f"/proc/{pid1}").exists()


def test_a_half_dead_lab_is_cleared_before_it_comes_up_again(second: Lab) -> None:
    one_mac(second)
    os.kill(second.hardware("lone"), signal.SIGKILL)

    one_mac(second)

    assert second.is_up()
    assert second.answers("lone")


def test_an_address_that_is_taken_is_named_and_nothing_is_left(second: Lab) -> None:
    taken = Lab(State(second.state, second.files.bridge, "127.0.0.1"))

    with pytest.raises(LabUnavailable, match=r"lo has the address 127\.0\.0\.1 already"):
        one_mac(taken)
    assert leftovers(taken) == []


def test_a_second_lab_on_the_same_bridge_is_refused_and_the_first_goes_on(lab: Lab, tmp_path: Path) -> None:
    second = replace(lab.files, directory=tmp_path / "lab")

    with pytest.raises(LabUnavailable, match=f"the lab in {lab.state} has had it"):
        assemble(second, lab.rack(), wait_seconds=0)
    disassemble(second)

    assert lab.answers("mac-1")
