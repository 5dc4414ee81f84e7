"""Another macOS by the true deploy: all Macs of a replica together, one replica after the other; or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.running import ADDRESSES, Run, deploy, replica_until
from tests.rolls.newer_macos import NEW, OLD, build, offered, update
from tests.standin.commands.directory import ADMIN_PASSWORD
from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab


@pytest.fixture
def with_offer(lab: Lab, deployed: Run) -> Iterator[Lab]:
    with offered(lab):
        yield lab


@pytest.fixture
def wanted(variant: Callable[..., Path], tmp_path: Path) -> Path:
    """The stand-ins' inventory with the newer macOS declared."""
    return variant(macos__update=update(tmp_path))


def builds(lab: Lab) -> dict[str, str]:
    return {name: build(lab, name) for name in ADDRESSES}


def started(lab: Lab, name: str) -> int:
    """When a Mac started, in seconds."""
    return int(lab.call(name, "/usr/sbin/sysctl", "-n", "kern.boottime").stdout.split()[3].rstrip(","))


def told(run: Run) -> str:
    return " ".join(run.output.split())


@pytest.mark.long
@pytest.mark.usefixtures("restored")
def test_every_mac_is_brought_there_replica_by_replica_and_the_second_run_does_nothing(with_offer: Lab, wanted: Path):
    run = deploy(wanted)
    replicas: list[dict[str, Any]] = [replica_until(name, "ready") for name in ("mac-1", "mac-3")]
    starts = {name: started(with_offer, name) for name in ADDRESSES}
    again = deploy(wanted)

    assert run.code == 0, run.output
    assert set(builds(with_offer).values()) == {NEW}
    assert max(starts["mac-1"], starts["mac-2"]) < min(starts["mac-3"], starts["mac-4"])
    assert [replica["name"] for replica in replicas] == ["a", "b"]
    assert ADMIN_PASSWORD not in run.output
    assert again.code == 0, again.output
    assert "Nothing to do: every Mac is as declared." in again.output
    assert {name: started(with_offer, name) for name in ADDRESSES} == starts


def test_one_mac_that_would_stop_at_its_unlock_screen_keeps_all_as_they_are(
    with_offer: Lab, wanted: Path, trees: Callable[[], dict[str, str]]
):
    with_offer.fault("filevault-on", "mac-2")
    before = trees()
    try:
        run = deploy(wanted)
        after = trees()
    finally:
        with_offer.mend("filevault-on", "mac-2")

    assert run.code == 1
    assert "mac-2: macOS update: FileVault is on: the Mac would stop at its unlock screen" in told(run)
    assert differing(before, after) == {}
    assert set(builds(with_offer).values()) == {OLD}
