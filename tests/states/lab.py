"""Labs described in a line or two: which Macs, which cables, and what is wrong with them.

A lab begins as it is after a deploy, all well. Each change gives a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from serving.cluster import Cluster
from serving.transport import cable_addresses

GIB = 2**30
Output = tuple[str, int]
"""What a command prints, and its exit code."""


@dataclass(frozen=True)
class Cable:
    """One cable in the rack, by (Mac, receptacle) at either end."""

    ends: tuple[tuple[str, int], tuple[str, int]]
    speed: str = "80 Gb/s"
    through: str | None = None
    """The dock or hub that it goes through."""
    unseen_by: tuple[str, ...] = ()
    """Macs that do not see what is at the other end."""

    beyond: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For a Mac what it sees behind the Mac at the other end, by (Mac, receptacle): a daisy chain."""

    @property
    def macs(self) -> frozenset[str]:
        """Both Macs."""
        return frozenset(name for name, _ in self.ends)


@dataclass(frozen=True)
class Mac:
    """One Mac as Apple's commands would tell of it; what is left out is as it should be."""

    name: str
    title: str
    model: str
    chip: str
    memory_gb: int
    ports: dict[int, str]
    thunderbolt: int = 5
    is_laptop: bool = False
    macos: str = "26.3"
    build: str = "25D125"
    extra: str | None = None
    is_german: bool = False
    rdma: str = "enabled"
    offers_rdma: bool = True
    devices: tuple[str, ...] | None = None
    """What ibv_devices lists, when it is not a device for every port."""
    down: tuple[str, ...] = ()
    """Interfaces that are down, and inactive for that."""
    inactive: tuple[str, ...] = ()
    rdma_down: tuple[str, ...] = ()
    """Interfaces whose RDMA port is down though all else is right."""
    bridged: tuple[str, ...] = ()
    has_bridge: bool = True
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses of an interface, when they are not what the cluster gives it."""
    ipv6_first: tuple[str, ...] = ()
    link_local_first: tuple[str, ...] = ()
    route: str | None = "en0"
    power: dict[str, int | None] = field(default_factory=dict)
    """What pmset shows otherwise; None for a row that is missing."""
    freeze: str = "On"
    updates: dict[str, int | None] = field(default_factory=dict)
    schedule: str = "off"
    sshd: str = "enabled"
    file_vault: str = "Off"
    firewall: int = 0
    filtering: str = "Enabled"
    has_rules: bool = True
    disk_free_gib: float = 1500
    wired_limit_mb: int = 0
    clock_ahead: int = 0
    domains: str = "0"
    is_root: bool = True
    offers: dict[str, str] = field(default_factory=dict)
    """Versions that softwareupdate offers, by their labels."""
    updating: str | None = None
    """What a softwareupdate does just now: ours are "install" and "fetch"."""
    token: str = "ENABLED"
    owner: str = "Yes"
    source: str = "AC"


@dataclass(frozen=True)
class Lab:
    """Macs, cables, and the declaration they are judged by; `printed` replaces what a command
    prints, `logged` comes before it.
    """

    macs: dict[str, Mac]
    cables: tuple[Cable, ...]
    declaration: dict[str, Any]
    weights_gib: float = 100
    printed: dict[tuple[str, str], Output] = field(default_factory=dict)
    logged: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        """What is declared."""
        return Cluster.model_validate(self.declaration)

    def mac(self, name: str, **changes: Any) -> Lab:
        """The lab with one Mac otherwise."""
        return replace(self, macs={**self.macs, name: replace(self.macs[name], **changes)})

    def every_mac(self, **changes: Any) -> Lab:
        """The lab with all Macs otherwise."""
        return replace(self, macs={name: replace(mac, **changes) for name, mac in self.macs.items()})

    def cable(self, a: str, b: str, **changes: Any) -> Lab:
        """The lab with the cable between two Macs otherwise."""
        changed = (replace(cable, **changes) if cable.macs == {a, b} else cable for cable in self.cables)
        return replace(self, cables=tuple(changed))

    def unplugged(self, a: str, b: str) -> Lab:
        """The lab without the cable between two Macs."""
        return replace(self, cables=tuple(cable for cable in self.cables if cable.macs != {a, b}))

    def plugged(self, a: str, b: str) -> Lab:
        """The lab with one more cable between two Macs; a stranger's Mac is no name of the lab."""
        ends = tuple((name, next(iter(_free(self, name)), 1)) for name in (a, b))
        return replace(self, cables=(*self.cables, Cable((ends[0], ends[1]))))

    def moved(self, name: str, peer: str, receptacle: int) -> Lab:
        """The lab with one end of a cable in another receptacle; its addresses are given to that one."""
        cable = next(cable for cable in self.cables if cable.macs == {name, peer})
        ends = tuple((end, receptacle if end == name else number) for end, number in cable.ends)
        return self.cable(name, peer, ends=ends)

    def prints(self, name: str, command: str, text: str, code: int = 0) -> Lab:
        """The lab where a command, by its first words, prints something else on one Mac."""
        return replace(self, printed={**self.printed, (name, command): (text, code)})

    def logs(self, name: str, command: str, line: str) -> Lab:
        """The lab where a command logs a line before its output on one Mac."""
        return replace(self, logged={**self.logged, (name, command): line})

    def declared(self, **places: Any) -> Lab:
        """The lab with some places declared otherwise: `thunderbolt__rdma=None`."""
        declaration = self.cluster.model_dump(mode="json")
        for place, value in places.items():
            *way, last = [int(step) if step.isdigit() else step for step in place.split("__")]
            inner: Any = declaration
            for step in way:
                inner = inner[step]
            inner[last] = value
        return replace(self, declaration=declaration)

    def across(self, name: str, receptacle: int) -> tuple[str, int, Cable] | None:
        """The other end of the cable in a receptacle."""
        for cable in self.cables:
            for here, there in (cable.ends, cable.ends[::-1]):
                if here == (name, receptacle):
                    return (*there, cable)
        return None

    def addresses(self, name: str) -> dict[str, tuple[str, ...]]:
        """What each cabled interface of a Mac holds."""
        given = cable_addresses(self.cluster)
        mac, addresses = self.macs[name], dict[str, tuple[str, ...]]()
        for receptacle, interface in mac.ports.items():
            found = self.across(name, receptacle)
            first = next((cable for cable in self.cables if found and cable.macs == found[2].macs), None)
            if found and found[2] is first and (name, found[0]) in given and interface not in mac.bridged:
                addresses[interface] = (f"{given[name, found[0]]}/30",)
        return {**addresses, **mac.held}


def unharmed(bad: Lab) -> Lab:
    """The same Macs and declaration with nothing wrong, cabled as they come."""
    transport = bad.cluster.replicas[0].transport or "jaccl"
    macs = [KINDS[mac.model](name) for name, mac in bad.macs.items()]
    return lab(macs, first=2 if all(mac.title == "Mac Studio" for mac in macs) else 1, transport=transport)


def studios(count: int, first: int = 2) -> Lab:
    """Mac Studios with M3 Ultra; receptacle 1, next to Ethernet, stays free."""
    return lab([m3_ultra(f"m{number}") for number in range(1, count + 1)], first=first)


def m3_ultra(name: str) -> Mac:
    """Mac Studio M3 Ultra with 512 GB."""
    return Mac(name, "Mac Studio", "Mac15,14", "Apple M3 Ultra", 512, {n: f"en{n + 1}" for n in range(1, 7)})


def m4_max(name: str) -> Mac:
    """Mac Studio M4 Max with 128 GB."""
    return Mac(name, "Mac Studio", "Mac16,9", "Apple M4 Max", 128, {n: f"en{n + 1}" for n in range(1, 5)})


def m4_pro(name: str) -> Mac:
    """Mac mini M4 Pro with 64 GB."""
    return Mac(name, "Mac mini", "Mac16,11", "Apple M4 Pro", 64, {n: f"en{n + 1}" for n in range(1, 4)})


def m4(name: str) -> Mac:
    """Mac mini M4 with 32 GB, whose ports are Thunderbolt 4."""
    return Mac(name, "Mac mini", "Mac16,10", "Apple M4", 32, {n: f"en{n + 1}" for n in range(1, 4)}, thunderbolt=4)


def m5_max(name: str) -> Mac:
    """MacBook Pro M5 Max with 128 GB, whose interfaces are not in the order of its receptacles."""
    return Mac(name, "MacBook Pro", "Mac17,6", "Apple M5 Max", 128, {1: "en1", 2: "en6", 3: "en2"}, is_laptop=True)


def lab(macs: list[Mac], *, first: int = 1, transport: str = "jaccl", weights_gib: float = 20) -> Lab:
    """One replica of all these Macs, cabled as its transport needs it from receptacle `first` on."""
    names = [mac.name for mac in macs]
    ring = [(a, b) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    pairs = list(combinations(names, 2)) if transport == "jaccl" or len(names) < 3 else ring
    free, cables = dict.fromkeys(names, first), list[Cable]()
    for a, b in pairs:
        cables.append(Cable(((a, free[a]), (b, free[b]))))
        free[a], free[b] = free[a] + 1, free[b] + 1
    together = {"transport": transport, "sharding": "tensor"} if len(names) > 1 else {}
    declaration = {
        "name": "lab",
        "machines": [{"name": name, "address": f"192.168.1.{10 + n}"} for n, name in enumerate(names, start=1)],
        "links": [{"between": sorted(cable.macs)} for cable in cables],
        "weights": [{"name": "w", "path": "/weights/w", "golden": {"question": "Why?", "answer": "Because"}}],
        "replicas": [{"name": "a", "machines": names, "weights": "w", **together}],
        "gateway": {"machine": names[0]},
    }
    return Lab({mac.name: mac for mac in macs}, tuple(cables), declaration, weights_gib)


KINDS = {kind("").model: kind for kind in (m3_ultra, m4_max, m4_pro, m4, m5_max)}


def _free(lab: Lab, name: str) -> list[int]:
    return [n for n in (lab.macs[name].ports if name in lab.macs else ()) if lab.across(name, n) is None][::-1]
