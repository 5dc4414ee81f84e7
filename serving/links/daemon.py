"""`dev.cidermill.links`, as root on every machine with cables: `python -m serving.links.daemon CONFIG.json`.

macOS puts all Thunderbolt ports into bridge0 at every boot, which is a loop as soon as cables are. This daemon takes
the declared ports out, brings them up, gives each its address once it has carrier, and reports what it found. It looks
every five seconds, acts on differences only, and touches no other interface and no stored network setting: changing
those over SSH has cost people their Mac. On a cable's interface it owns the /30 addresses, and removes those it no
longer gives. IPv4 goes first there: JACCL (MLX 0.32.4) uses the GID of the first address.

Every command has a limit; what it says of failure is in the report. SIGTERM has its default disposition.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from subprocess import TimeoutExpired, run

from serving.agent.boot import boot_session
from serving.configuration import Cabled, LinksConfiguration
from serving.errors import LinksUnreadable
from serving.links.reading import Interface, devices, interfaces, receptacles
from serving.links.report import CableEnd, CableReport
from serving.rank.status import replace

IFCONFIG = "/sbin/ifconfig"
NETWORKSETUP = "/usr/sbin/networksetup"
SYSTEM_PROFILER = "/usr/sbin/system_profiler"

_BRIDGE = "bridge0"
_MASK = "255.255.255.252"
_PERIOD_SECONDS = 5.0
_SETTLING_SECONDS = 0.5
_SETTLING_LOOKS = 20
_LIMIT_SECONDS = {IFCONFIG: 5.0, NETWORKSETUP: 15.0, SYSTEM_PROFILER: 60.0}

Command = Callable[[Sequence[str]], str]
"""Runs a command and returns what it printed. Raises LinksUnreadable."""


class Links:
    """One machine's cables. `command` is the only way out."""

    def __init__(self, configuration: LinksConfiguration, boot: str, command: Command) -> None:
        self._configuration = configuration
        self._boot = boot
        self._command = command
        self._ports: dict[str, str] | None = None
        self._shape: object = None
        self._settling = 0

    @property
    def pause_seconds(self) -> float:
        """How long until the next look: a port that was brought up takes about three seconds to show carrier."""
        return _SETTLING_SECONDS if self._settling else _PERIOD_SECONDS

    def converge(self) -> CableReport:
        """Read, act on differences, and tell how it is now."""
        self._settling = max(0, self._settling - 1)
        try:
            seen = self._interfaces()
            if self._ports is None or (not self._settling and _shape(seen) != self._shape):
                # Takes seconds on a Mac, so only when something has changed that we did not change.
                self._ports = self._domains()
            if self._release(seen, self._ports):
                self._settling = _SETTLING_LOOKS
                seen = self._interfaces()
            problems = self._address(seen, self._ports)
            seen = self._interfaces()
        except LinksUnreadable as error:
            self._ports = None
            return self._report({cable.peer: _unknown(cable, str(error)) for cable in self._configuration.cables})
        self._shape = _shape(seen)
        return self._report(self._ends(seen, self._ports, problems))

    def _ends(self, seen: dict[str, Interface], ports: dict[str, str], problems: dict[str, str]) -> dict[str, CableEnd]:
        ends = {
            c.peer: _end(c, ports.get(c.domain_uuid), seen, problems.get(c.peer)) for c in self._configuration.cables
        }
        if all(end.status == "active" for end in ends.values()):
            self._settling = 0
        return ends

    def _domains(self) -> dict[str, str]:
        """For each Thunderbolt domain of this machine its interface."""
        by_receptacle = devices(self._command([NETWORKSETUP, "-listallhardwareports"]))
        by_domain = receptacles(self._command([SYSTEM_PROFILER, "SPThunderboltDataType", "-json"]))
        return {domain: by_receptacle[tag] for domain, tag in by_domain.items() if tag in by_receptacle}

    def _interfaces(self) -> dict[str, Interface]:
        return interfaces(self._command([IFCONFIG, "-a"]))

    def _owned(self, seen: dict[str, Interface], ports: dict[str, str]) -> list[tuple[Cabled, str, Interface]]:
        names = [(cable, ports.get(cable.domain_uuid, "")) for cable in self._configuration.cables]
        return [(cable, name, seen[name]) for cable, name in names if name in seen]

    def _release(self, seen: dict[str, Interface], ports: dict[str, str]) -> bool:
        """Take cabled ports out of the bridge and bring them up; whether anything had to be done."""
        bridge = seen.get(_BRIDGE)
        changed = False
        for _, name, interface in self._owned(seen, ports):
            bridged = bridge is not None and name in bridge.members
            if bridged:
                self._change(_BRIDGE, "deletem", name)
            if bridged or not interface.up:
                # deletem leaves the port down, whatever it was before.
                self._change(name, "up")
                changed = True
        return changed

    def _address(self, seen: dict[str, Interface], ports: dict[str, str]) -> dict[str, str]:
        """Give each active port its address and take older ones of ours away; problems by peer."""
        problems: dict[str, str] = {}
        for cable, name, interface in self._owned(seen, ports):
            wanted = _wanted(cable)
            try:
                for old in sorted(interface.addresses - {wanted}):
                    if old.network.prefixlen == wanted.network.prefixlen:
                        self._change(name, "inet", str(old.ip), "-alias")
                if interface.active and wanted not in interface.addresses:
                    self._change(name, "inet", cable.address, "netmask", _MASK, "alias")
            except LinksUnreadable as error:
                problems[cable.peer] = str(error)
        return problems

    def _change(self, *arguments: str) -> None:
        logging.info("ifconfig %s", " ".join(arguments))
        self._command([IFCONFIG, *arguments])

    def _report(self, peers: dict[str, CableEnd]) -> CableReport:
        return CableReport(machine=self._configuration.machine, boot=self._boot, peers=peers)


def _shape(seen: dict[str, Interface]) -> object:
    return {name: (interface.active, interface.members) for name, interface in seen.items()}


def _wanted(cable: Cabled) -> IPv4Interface:
    return IPv4Interface(f"{cable.address}/{_MASK}")


def _unknown(cable: Cabled, problem: str) -> CableEnd:
    return CableEnd(interface=None, address=cable.address, status="missing", problem=problem)


def _end(cable: Cabled, name: str | None, seen: dict[str, Interface], problem: str | None) -> CableEnd:
    if name is None or name not in seen:
        return _unknown(cable, f"macOS lists no interface for the port with Thunderbolt domain {cable.domain_uuid}")
    interface = seen[name]
    if problem is None and interface.active and _wanted(cable) in interface.addresses:
        return CableEnd(interface=name, address=cable.address, status="active")
    why = problem or (f"{name} has no carrier" if not interface.active else f"{name} has no {cable.address} yet")
    return CableEnd(interface=name, address=cable.address, status="inactive", problem=why)


def execute(arguments: Sequence[str]) -> str:
    """Run one of Apple's commands within its limit. Raises LinksUnreadable when it fails."""
    limit = _LIMIT_SECONDS[arguments[0]]
    try:
        done = run(arguments, capture_output=True, text=True, timeout=limit, check=False)
    except TimeoutExpired as error:
        raise LinksUnreadable(f"cannot run {' '.join(arguments)}: no end within {limit:g} seconds.") from error
    except OSError as error:
        raise LinksUnreadable(f"cannot run {' '.join(arguments)}: {error}.") from error
    if done.returncode != 0:
        raise LinksUnreadable(
            f"cannot run {' '.join(arguments)}: exit code {done.returncode}, {done.stderr.strip() or 'no message'}."
        )
    return done.stdout


def main(path: str) -> None:
    """Converge until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    configuration = LinksConfiguration.model_validate_json(Path(path).read_text())
    links = Links(configuration, boot_session(), execute)
    told: CableReport | None = None
    while True:
        report = links.converge()
        if report != told:
            _tell(Path(configuration.report), report)
            told = report
        time.sleep(links.pause_seconds)


def _tell(path: Path, report: CableReport) -> None:
    for peer, end in report.peers.items():
        logging.info("cable to %s: %s %s %s", peer, end.interface, end.status, end.problem)
    replace(path, report.model_dump_json())
    path.chmod(0o644)  # the agent is another user


if __name__ == "__main__":
    main(sys.argv[1])
