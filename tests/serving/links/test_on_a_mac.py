"""The true daemon, loaded by launchd on a stand-in Mac, against Apple's commands and the faults that befall a Mac."""

from __future__ import annotations

import json
import plistlib
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.configuration import Cabled, LinksConfiguration
from serving.daemons import LINKS
from serving.links.confirm import Exit
from serving.links.report import CableReport
from tests.serving.waiting import wait_until
from tests.standin.lab import Lab
from tests.standin.mac import INSIDE

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[3]
NAME = "mac-1"
PLIST = f"/Library/LaunchDaemons/{LINKS}.plist"
OPT = "/opt/links-trial"
REPORT = f"{OPT}/report.json"
PYTHONPATH = f"{OPT}/software:{INSIDE}/site-packages"
RULES = """\
table <cidermill> const { 10.213.0.0/24 }
pass in quick proto tcp from <cidermill> to any port { 7440 } flags any no state
block return in quick proto tcp from any to any port { 7440 }
"""


class Mac:
    """A Mac with cables, reached as the control machine reaches it and by another road."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ports = dict[str, str]()
        self._lay()

    def _lay(self) -> None:
        software = self.path(f"{OPT}/software/serving")
        shutil.copytree(ROOT / "serving", software, ignore=shutil.ignore_patterns("__pycache__"))

    def path(self, inside: str) -> Path:
        return self.lab.root(NAME) / inside.lstrip("/")

    def cables(self) -> tuple[Cabled, ...]:
        """This Mac's own cables, numbered as they come."""
        machine, found = self.lab.machine(NAME), list[Cabled]()
        for number, cable in enumerate(c for c in self.lab.rack().cables if NAME in dict(c.ends)):
            (peer,) = set(dict(cable.ends)) - {NAME}
            receptacle = dict(cable.ends)[NAME]
            self.ports[peer] = machine.ports[receptacle]
            address = f"10.213.0.{4 * number + 1}"
            found.append(
                Cabled(
                    peer=peer,
                    domain_uuid=machine.domain_uuid(receptacle),
                    address=address,
                    peer_address=f"10.213.0.{4 * number + 2}",
                )
            )
        return tuple(found)

    def load(self, release: str, **changes: Any) -> None:
        """Lay a release and have launchd load it."""
        told = LinksConfiguration(
            **{
                "machine": NAME,
                "cables": self.cables(),
                "report": REPORT,
                "filter_rules": RULES,
                "wired_limit_mb": 460800,
                "state_directory": f"{OPT}/state",
                "confirm_within_seconds": 600,
                **changes,
            }
        )
        directory = self.path(f"{OPT}/{release}")
        directory.mkdir(exist_ok=True)
        (directory / "links.json").write_text(told.model_dump_json())
        plist = {
            "Label": LINKS,
            "ProgramArguments": [
                *("/usr/local/bin/python3", "-m", "serving.links.daemon", f"{OPT}/{release}/links.json")
            ],
            "EnvironmentVariables": {"PYTHONPATH": PYTHONPATH, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
            "RunAtLoad": True,
            "KeepAlive": True,
            "StandardErrorPath": f"{OPT}/links.out.log",
        }
        self.path(PLIST).write_bytes(plistlib.dumps(plist))
        self.run("/bin/launchctl", "bootstrap", "system", PLIST)

    def unload(self) -> None:
        """Unloaded, and gone."""
        self.lab.call(NAME, "/bin/launchctl", "bootout", f"system/{LINKS}")
        wait_until(lambda: self.lab.call(NAME, "/bin/launchctl", "print", f"system/{LINKS}").code != 0)

    def undo(self) -> subprocess.CompletedProcess[str]:
        self.unload()
        return self.ours("serving.links.undo", "links-1")

    def run(self, *arguments: str) -> str:
        done = self.lab.call(NAME, *arguments)
        assert done.code == 0, done
        return done.stdout + done.stderr

    def ours(self, module: str, release: str, *more: str) -> subprocess.CompletedProcess[str]:
        """One of our own commands over SSH, as root."""
        words = ["sudo", "/usr/bin/env", f"PYTHONPATH={PYTHONPATH}", "/usr/local/bin/python3", "-m", module]
        command = shlex.join([*words, f"{OPT}/{release}/links.json", *more])
        how = ["-i", str(self.lab.key), "-o", f"UserKnownHostsFile={self.lab.known_hosts}", "-o", "BatchMode=yes"]
        target = f"admin@{self.lab.machine(NAME).address}"
        return subprocess.run(["ssh", *how, target, command], capture_output=True, text=True, check=False)

    def report(self) -> CableReport | None:
        try:
            return CableReport.model_validate_json(self.path(REPORT).read_text())
        except FileNotFoundError:
            return None

    def until(self, is_so: Callable[[CableReport], bool], seconds: float = 20) -> CableReport:
        """The report of which something is so."""

        def look() -> bool:
            report = self.report()
            return report is not None and is_so(report)

        wait_until(look, seconds)
        report = self.report()
        assert report is not None
        return report

    def seen(self) -> dict[str, str]:
        """By another road than the report: what Apple's commands say."""
        return {
            "interfaces": self.run("/sbin/ifconfig", "-a"),
            "limit": self.run("/usr/sbin/sysctl", "iogpu.wired_limit_mb"),
            "filter": " ".join(self.run("/sbin/pfctl", "-s", "info").split()[:2]),
            "rules": self.lab.call(NAME, "/sbin/pfctl", "-a", "com.apple/cidermill", "-s", "rules").stdout,
            "references": self.run("/sbin/pfctl", "-s", "References"),
        }


def all_is_well(report: CableReport) -> bool:
    active = all(end.status == "active" for end in report.peers.values())
    return active and report.filter == "on" and report.wired_limit_mb == 460800


@pytest.fixture(scope="module")
def before(bare_lab: Lab) -> dict[str, str]:
    """The Mac as nobody has touched it."""
    bare_lab.reboot(NAME)
    mac = Mac(bare_lab)
    shutil.rmtree(mac.path(OPT))
    return mac.seen()


@pytest.fixture(scope="module")
def neighbours(bare_lab: Lab) -> Iterator[None]:
    """The Macs at the other ends have their ports up, out of their own bridges; otherwise there is no carrier."""
    ends = [end for cable in bare_lab.rack().cables if NAME in dict(cable.ends) for end in cable.ends if end[0] != NAME]
    ports = [(name, bare_lab.machine(name).ports[receptacle]) for name, receptacle in ends]
    for name, port in ports:
        bare_lab.call(name, "/sbin/ifconfig", "bridge0", "deletem", port)
        bare_lab.call(name, "/sbin/ifconfig", port, "up")
    yield
    for name, port in ports:
        bare_lab.call(name, "/sbin/ifconfig", "bridge0", "addm", port)


@pytest.fixture(scope="module")
def mac(neighbours: None, bare_lab: Lab, before: dict[str, str]) -> Iterator[Mac]:
    mac = Mac(bare_lab)
    yield mac
    mac.undo()
    mac.path(PLIST).unlink(missing_ok=True)
    shutil.rmtree(mac.path(OPT))


@pytest.fixture(scope="module")
def running(mac: Mac) -> Mac:
    """With a release that is loaded and confirmed, for all tests after this one."""
    confirmed(mac)
    return mac


def confirmed(mac: Mac) -> None:
    """A release that runs and is confirmed, asked as often as it says so."""
    mac.load("links-1")
    mac.until(lambda report: report.settled)
    done = mac.ours("serving.links.confirm", "links-1")
    assert done.returncode == Exit.CONFIRMED, done.stderr


def test_everything_is_taken_over_confirmed_and_put_back_again(mac: Mac, before: dict[str, str]):
    confirmed(mac)
    there = mac.seen()
    checked = json.loads(mac.ours("serving.links.confirm", "links-1", "--check").stdout)
    first, second = mac.undo(), mac.undo()

    assert checked == {"state": "confirmed", "release": "links-1", "problems": []}
    assert "member: " + next(iter(mac.ports.values())) not in there["interfaces"]
    assert "from <cidermill> to any port = 7440" in there["rules"]
    assert (there["filter"], there["limit"]) == ("Status: Enabled", "iogpu.wired_limit_mb: 460800\n")
    assert first.returncode == 0, first.stderr
    assert "bridge0 addm" in first.stdout
    assert second.stdout == "nothing to do: everything is as it was before\n"
    assert like(mac.seen()) == like(before)


def like(seen: dict[str, str]) -> dict[str, Any]:
    """The order in which ports joined the bridge is nobody's."""
    return {**seen, "interfaces": sorted(seen["interfaces"].splitlines())}


def test_without_a_confirmation_everything_goes_back_by_itself(mac: Mac, before: dict[str, str]):
    mac.load("links-1", confirm_within_seconds=8)
    mac.until(all_is_well)
    mac.until(lambda report: report.state == "reverted")

    assert like(mac.seen()) == like(before)
    assert mac.ours("serving.links.confirm", "links-1", "--within", "20").returncode == Exit.AGAIN
    assert mac.ours("serving.links.confirm", "links-1").returncode == Exit.CONFIRMED
    assert mac.undo().returncode == 0


@pytest.mark.parametrize("fault", ["port-bridged", "address-lost", "filter-off", "wired-limit-lost"])
def test_what_befalls_a_mac_is_mended(running: Mac, fault: str):
    did = running.until(all_is_well).changes
    running.lab.fault(fault, NAME)
    report = running.until(lambda report: report.changes > did and all_is_well(report))
    running.lab.mend(fault, NAME)

    assert report.problems == ()
    assert report.state == "confirmed"


def test_after_a_restart_of_the_mac_all_is_there_again(running: Mac):
    boot = running.until(all_is_well).boot
    running.lab.reboot(NAME)
    report = running.until(lambda report: report.boot != boot and all_is_well(report))

    assert report.state == "confirmed"


def test_a_cable_that_is_pulled_is_told_and_is_active_again_when_it_is_back(running: Mac):
    running.until(all_is_well)
    running.lab.fault("cable-missing", NAME)
    without = running.until(lambda report: not all_is_well(report))
    running.lab.mend("cable-missing", NAME)

    assert ["no carrier" in problem for problem in without.problems] == [True]
    assert running.until(all_is_well).problems == ()
