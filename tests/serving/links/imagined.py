"""A Mac as far as the links daemon can tell: it answers the commands it was told of, and fails on any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.configuration import Cabled, LinksConfiguration
from serving.links.commands import IFCONFIG, NETWORKSETUP, PFCTL, ROUTE, SYSCTL, SYSTEM_PROFILER, Answer
from serving.links.daemon import Daemon, Links
from serving.links.observation import Clock

READ = [IFCONFIG, "-a"]
RULES = "pass in quick on lo0 all\nblock return in quick all\n"
ANCHOR = ["-a", "com.apple/cidermill"]
CABLES = (
    Cabled(peer="mac-2", domain_uuid="D-1", address="10.213.0.1", peer_address="10.213.0.2"),
    Cabled(peer="mac-3", domain_uuid="D-2", address="10.213.0.5", peer_address="10.213.0.6"),
)
WITHIN = 60


def configuration(directory: Path, **changes: Any) -> LinksConfiguration:
    """What the daemon of mac-1 is told: two cables, and no more unless it is said."""
    told = {"machine": "mac-1", "cables": CABLES, "report": str(directory / "report.json")}
    kept = {"state_directory": str(directory / "links"), "confirm_within_seconds": WITHIN}
    return LinksConfiguration(**{**told, **kept, **changes})


@dataclass
class Time:
    """Clocks that stand still unless told otherwise; the wall clock may be set."""

    monotonic: float = 1000.0
    wall: float = 1_800_000_000.0

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


@dataclass
class Port:
    """A Thunderbolt port: `wakes_after` is how many looks it takes to show carrier once it is up."""

    up: bool = True
    cabled: bool = True
    addresses: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(address, prefix length as a netmask) in order; IPv6 ones without a mask."""
    wakes_after: int = 0


@dataclass
class PacketFilter:
    """pf, with its one anchor of interest."""

    enabled: bool = False
    evaluates: bool = True
    rules: str = ""
    tokens: list[str] = field(default_factory=list[str])
    given: int = 0


class Mac:
    """One Mac. `ran` is every command it was asked to run, `changes()` those that change something."""

    def __init__(self, members: Sequence[str] = (), **ports: Port) -> None:
        self.ports = {"en0": Port(cabled=True), **(ports or {"en2": Port(), "en3": Port()})}
        self.members = list(members)
        self.domains = {"D-1": "en2", "D-2": "en3", "D-3": "en4"}
        self.facing = {"D-1": "P-1", "D-2": "P-2"}
        self.wired = 0
        self.filter = PacketFilter()
        self.default_route: str | None = "en0"
        self.boot = 1
        self.ran: list[list[str]] = []
        self.ipv6_first: list[str] = []
        """Ports that were brought up before they had an address."""
        self.fails: dict[str, Answer] = {}
        """What a command answers instead, by a part of its command line."""

    def run(self, arguments: Sequence[str], text: str = "") -> Answer:
        self.ran.append(list(arguments))
        line = " ".join(arguments)
        for part, answer in self.fails.items():
            if part in line:
                return answer
        return self._answer(list(arguments), text) or Answer(1, "", f"{line}: no")

    def changes(self) -> list[str]:
        """Arguments of everything that changed something, in order."""
        looks = ("-a", "-n", "-s", "-listallhardwareports", "SPThunderboltDataType")
        return [" ".join(words[1:]) for words in self.ran if words[1] not in looks or {"-f", "-F"} & set(words)]

    def restart(self) -> None:
        """macOS forgets what was not stored, and puts every port into its bridge."""
        self.boot += 1
        self.wired, self.filter = 0, PacketFilter()
        for name, port in self.ports.items():
            if name != "en0":
                port.addresses.clear()
                port.up = True
        self.members = [name for name in self.ports if name != "en0"]

    def _answer(self, arguments: list[str], text: str) -> Answer | None:
        command, *rest = arguments
        match command:
            case _ if command == NETWORKSETUP:
                ports = enumerate((name for name in ("en2", "en3", "en4") if name in self.ports), start=1)
                return Answer(0, "\n".join(f"Hardware Port: Thunderbolt {n}\nDevice: {name}\n" for n, name in ports))
            case _ if command == SYSTEM_PROFILER:
                return Answer(0, self._profile())
            case _ if command == ROUTE:
                if self.default_route is None:
                    return Answer(1, "", "route: writing to routing socket: not in table\n")
                return Answer(0, f"   route to: default\n  interface: {self.default_route}\n")
            case _ if command == SYSCTL:
                return self._sysctl(rest)
            case _ if command == PFCTL:
                return self._pfctl(rest, text)
            case _ if command == IFCONFIG:
                return self._ifconfig(rest)
            case _:
                return None

    def _profile(self) -> str:
        there = [(domain, name) for domain, name in self.domains.items() if name in self.ports]
        buses = [
            {"domain_uuid_key": domain, "receptacle_1_tag": {"receptacle_id_key": str(n)}}
            | ({"_items": [{"domain_uuid_key": self.facing[domain]}]} if domain in self.facing else {})
            for n, (domain, _) in enumerate(there, start=1)
        ]
        return json.dumps({"SPThunderboltDataType": buses})

    def _sysctl(self, rest: list[str]) -> Answer | None:
        match rest:
            case ["-n", "iogpu.wired_limit_mb"]:
                return Answer(0, f"{self.wired}\n")
            case [setting] if setting.startswith("iogpu.wired_limit_mb="):
                self.wired = int(setting.partition("=")[2])
                return Answer(0, "changed\n")
            case _:
                return None

    def _pfctl(self, rest: list[str], text: str) -> Answer | None:
        pf = self.filter
        noise = "No ALTQ support in kernel\n"
        match rest:
            case ["-s", "info"]:
                return Answer(
                    0, f"Status: {'Enabled for 0 days' if pf.enabled else 'Disabled'}   Debug: Urgent\n", noise
                )
            case ["-s", "rules"]:
                return Answer(0, 'anchor "com.apple/*" all\n' if pf.evaluates else "", noise)
            case ["-a", "com.apple/cidermill", "-s", "rules"]:
                return Answer(0, pf.rules, noise)
            case ["-a", "com.apple/cidermill", "-f", "-"]:
                pf.rules = text.upper()  # it prints rules in a form of its own
            case ["-a", "com.apple/cidermill", "-F", "all"]:
                pf.rules = ""
            case ["-E"]:
                pf.given, pf.enabled = pf.given + 1, True
                pf.tokens.append(f"{self.boot}{pf.given}")
                return Answer(0, "", f"{noise}pf enabled\nToken : {pf.tokens[-1]}\n")
            case ["-X", token] if token in pf.tokens:
                pf.tokens.remove(token)
                pf.enabled = bool(pf.tokens)
            case ["-X", _]:
                return Answer(1, "", "pfctl: pf: token invalid\n" if pf.enabled else "pfctl: pf not enabled\n")
            case ["-e"]:
                pf.enabled = True
            case _:
                return None
        return Answer(0, "", noise)

    def _ifconfig(self, rest: list[str]) -> Answer | None:
        match rest:
            case ["-a"]:
                return Answer(0, "".join(self._shown(name, port) for name, port in self.ports.items()) + self._bridge())
            case ["bridge0", "deletem", name] if name in self.members:
                self.members.remove(name)
                self.ports[name].up = False
            case ["bridge0", "addm", name] if name in self.ports and name not in self.members:
                self.members.append(name)
            case [name, "up" | "down" as way] if name in self.ports:
                self._switch(name, up=way == "up")
            case [name, "inet", address, "netmask", "255.255.255.252", "alias"] if name in self.ports:
                self.ports[name].addresses.append((address, "0xfffffffc"))
            case [name, "inet", address, "-alias"] if (address, "0xfffffffc") in self.ports[name].addresses:
                self.ports[name].addresses.remove((address, "0xfffffffc"))
            case _:
                return None
        return Answer(0, "")

    def _switch(self, name: str, *, up: bool) -> None:
        port = self.ports[name]
        port.up = up
        if up and name not in self.members and not port.addresses:
            port.addresses.append(("fe80::1", ""))
            self.ipv6_first.append(name)

    def _shown(self, name: str, port: Port) -> str:
        active = port.up and port.cabled and port.wakes_after == 0
        if port.up and port.wakes_after:
            port.wakes_after -= 1
        flags = "8863<UP,BROADCAST>" if port.up else "8822<BROADCAST>"
        rows = "".join(
            f"\tinet {address} netmask {mask}\n" if mask else f"\tinet6 {address}%{name} prefixlen 64 scopeid 0xb\n"
            for address, mask in port.addresses
        )
        return f"{name}: flags={flags} mtu 1500\n{rows}\tstatus: {'active' if active else 'inactive'}\n"

    def _bridge(self) -> str:
        members = "".join(f"\tmember: {name} flags=3<LEARNING,DISCOVER>\n" for name in self.members)
        return f"bridge0: flags=8863<UP> mtu 1500\n{members}\tstatus: inactive\n"


def links(mac: Mac, told: LinksConfiguration, time: Time | None = None, release: str = "links-1") -> Links:
    """The daemon of a release, just started."""
    now = time or Time()
    return Links(Daemon(told, release, lambda: Clock(f"b{mac.boot}", now.monotonic, now.wall)), mac.run)
