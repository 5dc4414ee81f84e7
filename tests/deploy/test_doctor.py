"""The doctor after a good deploy: nothing to tell; then faults, each found, named and explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.deploy.running import STANDIN, Run, cidermill, examined, replica_until
from tests.standin.lab import Lab
from tests.standin.snapshot import differing

pytestmark = pytest.mark.lab

# The faults of a round, which are there together: fault, the Mac it is put into: the Mac it is told of, the check,
# how grave, what is seen, what is to be done.
ROUNDS = {
    "a cable that is not there": {
        ("cable-missing", "mac-1"): ("mac-1", "cable to mac-2", "error", "no port of mac-1 sees mac-2", "Plug it in"),
        ("rdma-off", "mac-3"): ("mac-3", "RDMA", "error", "disabled", "rdma_ctl enable"),
        ("stray-daemon", "mac-2"): ("mac-2", "dev.cidermill.old", "drift", "there", "deploy"),
        ("clock-off", "mac-4"): ("mac-4", "clock", "error", " s ahead", "sntp"),
    },
    "a cable of another kind": {
        ("cable-40", "mac-4"): ("mac-1", "cable to mac-4", "error", "40 Gb/s in receptacle 4", "certified for"),
        ("rdma-wedged", "mac-2"): ("mac-2", "RDMA", "error", "did not answer within 10 s", "Restart"),
        ("plist-edited", "mac-3"): ("mac-3", "dev.cidermill.agent", "drift", "another plist", "deploy"),
        ("protection-domains-spent", "mac-1"): ("mac-1", "RDMA protection domains", "error", "11 of 11", "Restart"),
    },
    "a cable too many": {
        ("cable-loop", "mac-2"): ("mac-1", "second cable to mac-2", "error", "receptacle 6", "Pull"),
        ("sleep-on", "mac-2"): ("mac-2", "sleep", "drift", "sleep 1", "deploy"),
        ("autorestart-off", "mac-3"): ("mac-3", "restart after power loss", "drift", "off", "deploy"),
        ("updates-on", "mac-4"): ("mac-4", "automatic updates", "drift", "AutomaticallyInstallMacOSUpdates", "deploy"),
    },
    "a dock": {
        ("dock", "mac-3"): ("mac-1", "cable to mac-3", "error", "a dock or hub between them", "straight"),
        ("restart-freeze-off", "mac-1"): ("mac-1", "restart after freeze", "drift", "off", "deploy"),
        ("disk-full", "mac-2"): ("mac-2", "disk", "error", "0.1 GiB free", "Make room"),
        ("agent-unloaded", "mac-4"): ("mac-4", "dev.cidermill.agent", "drift", "not loaded", "deploy"),
    },
    "a Mac that is not reached": {
        ("account-shell", "mac-1"): ("mac-1", "user _cidermill: UserShell", "drift", "/bin/zsh", "deploy"),
        ("management-cut", "mac-2"): ("mac-2", "connection", "error", "cannot connect", "then run the deploy again"),
        ("secret-open", "mac-4"): ("mac-4", "/opt/cidermill/secrets/cluster.token", "drift", "644", "deploy"),
    },
    "nothing that has to be mended": {
        ("filevault-on", "mac-1"): ("mac-1", "FileVault", "note", "unlock screen", "fdesetup disable"),
        ("firewall-on", "mac-2"): ("mac-2", "application firewall", "note", "on", "headless"),
    },
}
FOLLOWS = {"management-cut": "replica a", "agent-unloaded": "replica b"}
"""What a fault brings about besides: without one of its machines a replica cannot be ready."""


@pytest.fixture(scope="module", autouse=True)
def _mended(deployed: Run) -> Iterator[None]:
    yield
    code, findings = examined()

    assert (code, findings) == (0, []), "after all faults were taken out again"


@pytest.fixture
def put(lab: Lab) -> Iterator[Callable[[str, str], None]]:
    """Put a fault in; it is taken out after the test, and the replicas come back."""
    faults: list[tuple[str, str]] = []

    def into(name: str, machine: str) -> None:
        faults.append((name, machine))
        lab.fault(name, machine)

    yield into
    for name, machine in faults:
        lab.mend(name, machine)
    for first in ("mac-1", "mac-3"):
        replica_until(first, "ready")


def test_a_good_lab_is_told_in_a_row_for_each_mac_and_nothing_is_touched(trees: Callable[[], dict[str, str]]):
    before = trees()
    run = cidermill("doctor", STANDIN)

    assert run.code == 0
    assert [line.split()[0] for line in run.output.splitlines() if " ok" in line] == [f"mac-{n}" for n in (1, 2, 3, 4)]
    assert differing(before, trees()) == {}


@pytest.mark.parametrize("faults", ROUNDS.values(), ids=ROUNDS)
def test_every_fault_is_found_named_and_explained_and_nothing_is_touched(
    put: Callable[[str, str], None],
    trees: Callable[..., dict[str, str]],
    faults: dict[tuple[str, str], tuple[str, str, str, str, str]],
):
    for fault in faults:
        put(*fault)
    before = trees(*{machine for _, machine in faults})
    code, findings = examined()
    follows = {FOLLOWS.get(name) for name, _ in faults}
    found = {(f["machine"], f["check"], f["severity"]): f for f in findings if f["check"] not in follows}

    assert set(found) == {told[:3] for told in faults.values()}
    for machine, check, severity, seen, remedy in faults.values():
        assert seen in found[machine, check, severity]["seen"]
        assert remedy in found[machine, check, severity]["remedy"]
    assert code == (0 if {told[2] for told in faults.values()} == {"note"} else 1)
    assert differing(before, trees(*{machine for _, machine in faults})) == {}


def test_the_report_tells_a_person_what_to_do_at_which_mac(put: Callable[[str, str], None]):
    put("rdma-off", "mac-3")
    put("sleep-on", "mac-2")
    run = cidermill("doctor", STANDIN)

    assert run.code == 1
    assert "mac-3\n    1. " in run.output
    assert "rdma_ctl enable" in run.output
    assert "1 error" in run.output
    assert "1 differs" in run.output
