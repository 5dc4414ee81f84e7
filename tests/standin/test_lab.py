from __future__ import annotations

import pytest

from tests.standin.conftest import Remote
from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab


def test_looking_at_a_mac_changes_nothing_and_a_change_of_one_byte_or_mode_is_seen(lab: Lab, mac_1: Remote) -> None:
    mac_1.run("echo one > note")
    before = lab.tree("mac-1")
    mac_1.run("sw_vers; sudo -n launchctl list; system_profiler SPHardwareDataType; echo x > /tmp/x")
    looked = lab.tree("mac-1")
    mac_1.run("echo two > note")
    written = lab.tree("mac-1")
    mac_1.run("chmod 600 note")
    changed = lab.tree("mac-1")
    mac_1.run("rm note")

    assert differing(before, looked) == {}
    assert set(differing(looked, written)) == {"/Users/admin/note"}
    assert set(differing(written, changed)) == {"/Users/admin/note"}


def test_the_disk_can_be_full(mac_1: Remote) -> None:
    outcome = mac_1.run("fallocate -l 7G /Users/Shared/big; rm -f /Users/Shared/big")

    assert "No space left on device" in outcome.stderr


def test_a_lab_that_is_up_is_left_as_it_is(lab: Lab) -> None:
    hardware = [lab.hardware(name) for name in lab.rack().machines]

    lab.up()

    assert [lab.hardware(name) for name in lab.rack().machines] == hardware


def test_a_mac_that_is_not_in_the_rack_is_refused(lab: Lab) -> None:
    with pytest.raises(LookupError, match="mac-9"):
        lab.fault("rdma-off", "mac-9")
