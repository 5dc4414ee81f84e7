"""The verdict on a lab: from what was declared and what was read, every reason not to go on. Pure.

A subject that could not be read is a finding like any other. Where one fault is the cause of another (RDMA off here
makes the neighbour's port go down), only the cause is told, on the machine where it can be mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from serving.cabling import Cable, cables
from serving.cluster import Cluster
from serving.seen import Interpreter, Mac, Port, Problem, Rdma, Seen

THUNDERBOLT_4_CHIPS = frozenset({"Apple M4", "Apple M5"}) | {
    f"Apple M{generation}{grade}" for generation in (1, 2, 3) for grade in ("", " Pro", " Max", " Ultra")
} - {"Apple M3 Ultra"}
"""Chips whose ports end at 40 Gb/s. All others must prove themselves by a port that says more."""

ENABLE_RDMA = (
    "Shut the Mac down, hold its power button until the start-up options appear, choose Options, then Utilities > "
    "Terminal, type `rdma_ctl enable`, restart. It cannot be done over SSH. Then run the deploy again."
)


@dataclass(frozen=True)
class Finding:
    """One reason not to go on: on which machine, what was looked at, what was seen, what is needed, what to do."""

    machine: str
    check: str
    seen: str
    needed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.check}: {self.seen}; needed {self.needed}.\n    Next: {self.remedy}"


def findings(cluster: Cluster, seen: Mapping[str, Seen]) -> list[Finding]:
    """Every reason not to go on, machine by machine in the order of the declaration; none means go."""
    unseen = [machine.name for machine in cluster.machines if machine.name not in seen]
    if unseen:
        return [
            Finding(name, "connection", "it was not looked at", "a look at every machine", "Reach it, without --limit.")
            for name in unseen
        ]
    found = [
        *(finding for name, looked in seen.items() for finding in _machine(cluster, name, looked)),
        *_builds(cluster, seen),
        *_cables(cluster, seen),
        *_rdma(cluster, seen),
    ]
    order = [machine.name for machine in cluster.machines]
    return sorted(found, key=lambda finding: order.index(finding.machine))


def _machine(cluster: Cluster, name: str, seen: Seen) -> Iterator[Finding]:
    for subject, value in (("macOS", seen.mac), ("Thunderbolt", seen.ports), ("RDMA", seen.rdma)):
        if isinstance(value, Problem) and (subject == "macOS" or cluster.neighbours(name)):
            yield Finding(name, subject, value.problem, "an answer", "Look at it there, then run the deploy again.")
    if isinstance(seen.mac, Mac):
        yield from _identity(cluster, name, seen.mac)
        if cluster.neighbours(name) and not isinstance(seen.ports, Problem):
            yield from _thunderbolt5(name, seen.mac, seen.ports)
    if cluster.python.kind == "system":
        yield from _interpreter(name, cluster.python.path, seen.interpreter)


def _identity(cluster: Cluster, name: str, mac: Mac) -> Iterator[Finding]:
    declared = cluster.machine(name)
    if cluster.macos and _older(mac.macos, cluster.macos.at_least):
        yield Finding(
            name,
            "macOS",
            f"{mac.macos} ({mac.build})",
            f"{cluster.macos.at_least} or newer",
            "Update it: `softwareupdate --list`, then install the exact label it names. Then run the deploy again.",
        )
    if declared.chip is not None and declared.chip != mac.chip:
        yield Finding(
            name, "chip", f"{mac.chip} ({mac.model})", declared.chip, "Correct chip= or address= in the inventory."
        )
    if declared.memory_gb is not None and declared.memory_gb != mac.memory_gb:
        yield Finding(
            name,
            "memory",
            f"{mac.memory_gb} GB",
            f"{declared.memory_gb} GB",
            "Correct memory_gb= or address= in the inventory.",
        )


def _older(version: str, than: str) -> bool:
    """Whether a macOS version is older; one that is no version at all counts as older."""
    try:
        return _numbers(version) < _numbers(than)
    except ValueError:
        return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in version.split("."))
    return numbers + (0,) * (3 - len(numbers))


def _thunderbolt5(name: str, mac: Mac, ports: tuple[Port, ...]) -> Iterator[Finding]:
    fastest = max((port.speed_gbps or 0 for port in ports), default=0)
    if mac.chip in THUNDERBOLT_4_CHIPS:
        seen = f"{mac.chip} ({mac.model}) has Thunderbolt 4, at most 40 Gb/s"
    elif fastest < 80:
        seen = f"{mac.chip} ({mac.model}), whose fastest port says {fastest} Gb/s"
    else:
        return
    remedy = "Take its links out of the inventory and give it a replica of its own, or use a Mac with Thunderbolt 5."
    yield Finding(name, "Thunderbolt", seen, "Thunderbolt 5 on a machine with links", remedy)


def _interpreter(name: str, path: str, interpreter: Interpreter | Problem | None) -> Iterator[Finding]:
    needed = f"a Python of at least 3.11 at {path}"
    remedy = 'Install it there, or declare python={"kind": "managed"}.'
    if not isinstance(interpreter, Interpreter):
        seen = interpreter.problem if interpreter else "cannot tell: it was not looked for"
        yield Finding(name, "Python", seen, needed, remedy)
    elif _older(interpreter.version, "3.11"):
        yield Finding(name, "Python", interpreter.version, needed, remedy)


def _builds(cluster: Cluster, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    for replica in cluster.replicas:
        macs = {name: mac for name in replica.machines if isinstance(mac := seen[name].mac, Mac)}
        builds = {mac.build for mac in macs.values()}
        if len(builds) < 2:
            continue
        newest = max(macs.values(), key=lambda mac: (_numbers(mac.macos), mac.build))
        for name, mac in macs.items():
            if mac.build != newest.build:
                yield Finding(
                    name,
                    "macOS build",
                    f"{mac.macos} ({mac.build})",
                    f"{newest.macos} ({newest.build}), as on the rest of replica '{replica.name}'",
                    "Bring all machines of the replica to one build: mixed builds do not form a mesh.",
                )


def _cables(cluster: Cluster, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    for cable in cables(cluster, seen):
        if any(isinstance(seen[name].ports, Problem) for name in cable.link.between):
            continue  # told already
        if not cable.is_whole:
            yield from _missing(cable)
        for name, peer, port in _ends(cable):
            if port.speed_gbps is None or port.speed_gbps < cluster.thunderbolt.minimum_speed_gbps:
                yield Finding(
                    name,
                    f"cable to {peer}",
                    f"{port.speed} in receptacle {port.receptacle}",
                    f"{cluster.thunderbolt.minimum_speed_gbps} Gb/s",
                    "Use a cable certified for Thunderbolt 5, directly between the two Macs.",
                )


def _missing(cable: Cable) -> Iterator[Finding]:
    a, b = cable.link.between
    for name, peer, port in ((a, b, cable.ports[0]), (b, a, cable.ports[1])):
        if port is None:
            yield Finding(
                name,
                f"cable to {peer}",
                f"no port of {name} sees {peer}",
                f"a Thunderbolt cable from {name} straight to {peer}",
                "Plug it in, or take the link out of the inventory. After re-plugging give macOS ten seconds.",
            )


def _ends(cable: Cable) -> Iterator[tuple[str, str, Port]]:
    a, b = cable.link.between
    for name, peer, port in ((a, b, cable.ports[0]), (b, a, cable.ports[1])):
        if port is not None:
            yield name, peer, port


def _rdma(cluster: Cluster, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    if cluster.thunderbolt.rdma != "required":
        return
    linked = [name for name in seen if cluster.neighbours(name)]
    blamed: set[str] = set()
    for name in linked:
        rdma, mac = seen[name].rdma, seen[name].mac
        too_old = isinstance(mac, Mac) and cluster.macos is not None and _older(mac.macos, cluster.macos.at_least)
        if isinstance(rdma, Problem) or too_old:
            blamed.add(name)  # told already: RDMA came with macOS 26.2
        elif rdma.status != "enabled" or rdma.problem or not rdma.devices:
            blamed.add(name)
            yield _rdma_off(name, rdma)
    for cable in cables(cluster, seen):
        if not blamed.intersection(cable.link.between):
            yield from _inactive(cable, seen)


def _rdma_off(name: str, rdma: Rdma) -> Finding:
    if rdma.status == "disabled":
        return Finding(name, "RDMA", "rdma_ctl status says disabled", "enabled", ENABLE_RDMA)
    if rdma.status == "absent":
        return Finding(
            name, "RDMA", "rdma_ctl is not there", "macOS 26.2 or newer", "Update macOS, then run the deploy again."
        )
    if rdma.problem:
        return Finding(name, "RDMA", rdma.problem, "an answer", "A wedged RDMA driver needs a restart of this Mac.")
    return Finding(
        name, "RDMA", "enabled, but ibv_devices lists no device", "one device per Thunderbolt 5 port", ENABLE_RDMA
    )


def _inactive(cable: Cable, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    for name, peer, port in _ends(cable):
        rdma, device = seen[name].rdma, f"rdma_{port.interface}"
        state = rdma.ports.get(device, "not listed") if isinstance(rdma, Rdma) else "unknown"
        if state != "PORT_ACTIVE":
            yield Finding(
                name,
                f"RDMA towards {peer}",
                f"{device} is {state}",
                "PORT_ACTIVE",
                f"Both ends need RDMA enabled and the cable in: see `ibv_devinfo -d {device}` here and on {peer}.",
            )
