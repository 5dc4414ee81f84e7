"""The RDMA ladder on cabled Macs: switched on here and at the peer, a device per cabled port, active, not used up.

Only the lowest rung that is missing is told. A Mac offers service 64087 on a cable only while RDMA is on, so a peer
that does not is blamed there, once. Checked against output of macOS 26.3 to 27.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.cabling import Cable
from serving.seen import Port, Rdma
from serving.verdict.fabric import is_settled
from serving.verdict.finding import Finding
from serving.verdict.view import View

ENABLE_RDMA = (
    "Shut the Mac down, hold its power button until the start-up options appear, choose Options, then Utilities > "
    "Terminal, type `rdma_ctl enable`, restart. It cannot be done over SSH. Then run the deploy again."
)
RESTART = "Restart the Mac; if the restart hangs, take its power away for ten seconds. Then run the deploy again."
DOMAINS_PER_DEVICE = 11
DOMAINS_TO_WARN_OF = 8


def rdma(view: View) -> Iterator[Finding]:
    """What keeps RDMA from working on the declared cables."""
    if not view.needs_rdma:
        return
    blamed = {name for name in view.linked if _is_told_elsewhere(view, name)}
    for name in view.linked:
        looked = view.rdma(name)
        off = _off(name, looked) if looked and name not in blamed else None
        if off is not None:
            blamed.add(name)
            yield off
    for silent in _silent(view, blamed):
        blamed.add(silent.machine)
        yield silent
    for cable in view.cables:
        if cable.is_whole and is_settled(view, cable) and not blamed.intersection(cable.link.between):
            yield from _inactive(view, cable)
    for name in view.linked:
        yield from _protection_domains(view, name)


def _is_told_elsewhere(view: View, name: str) -> bool:
    """Whether RDMA cannot be expected for a reason that is a finding already; it came with macOS 26.2."""
    return view.rdma(name) is None or view.is_too_old(name) or view.slow_thunderbolt(name) is not None


def _off(name: str, rdma: Rdma) -> Finding | None:
    if rdma.status == "disabled":
        return Finding(name, "RDMA", "rdma_ctl status says disabled", "enabled", ENABLE_RDMA, by_hand="recovery")
    if rdma.status == "absent":
        return Finding(
            name, "RDMA", "rdma_ctl is not there", "macOS 26.2 or newer", "Update macOS, then run the deploy again."
        )
    if rdma.problem:
        return Finding(name, "RDMA", rdma.problem, "an answer: the RDMA driver is wedged", RESTART, by_hand="power")
    if not rdma.devices:
        seen = "enabled, but ibv_devices lists no device"
        return Finding(name, "RDMA", seen, "one device per Thunderbolt 5 port", RESTART, by_hand="power")
    return None


def _silent(view: View, blamed: set[str]) -> Iterator[Finding]:
    """Peers that say RDMA is on and yet do not offer it on the cable."""
    for name in view.linked:
        watchers = [
            there
            for cable in view.cables
            for there, peer, port in cable.ends
            if peer == name and cable.is_whole and not _offers(port)
        ]
        if watchers and name not in blamed:
            seen = f"enabled, but not offered on the cable to {', '.join(watchers)} (service 64087)"
            yield Finding(name, "RDMA", seen, "RDMA offered on every cable", RESTART, by_hand="power")


def _offers(port: Port) -> bool:
    return any(peer.rdma for peer in port.peers if peer.depth == 1)


def _inactive(view: View, cable: Cable) -> Iterator[Finding]:
    ends = [(name, peer, f"rdma_{port.interface}") for name, peer, port in cable.ends if port.interface]
    unlisted = [(name, peer, device) for name, peer, device in ends if device not in _devices(view, name)]
    for name, peer, device in unlisted:
        seen = f"ibv_devices does not list {device}, only {', '.join(_devices(view, name))}"
        yield Finding(name, f"RDMA towards {peer}", seen, "a device for the cabled port", RESTART, by_hand="power")
    down = [(name, peer, device) for name, peer, device in ends if _state(view, name, device) != "PORT_ACTIVE"]
    if down and not unlisted:
        name, peer, device = down[0]
        also = "".join(f", {other} on {there} is {_state(view, there, other)}" for there, _, other in down[1:])
        yield Finding(
            name,
            f"RDMA towards {peer}",
            f"{device} is {_state(view, name, device)}{also}",
            "PORT_ACTIVE",
            f"RDMA is on at both ends: pull the cable to {peer} out, wait ten seconds, plug it in again; if it "
            f"stays so, restart {name}, then {peer}. `ibv_devinfo -d {device}` shows it.",
            by_hand="cables",
        )


def _devices(view: View, name: str) -> tuple[str, ...]:
    looked = view.rdma(name)
    return looked.devices if looked else ()


def _state(view: View, name: str, device: str) -> str:
    looked = view.rdma(name)
    return looked.ports.get(device, "not listed by ibv_devinfo") if looked else "unknown"


def _protection_domains(view: View, name: str) -> Iterator[Finding]:
    resources = view.resources(name)
    held = resources.protection_domains if resources else None
    devices = _used_devices(view, name)
    if held is None or not devices or held < DOMAINS_TO_WARN_OF * devices:
        return
    most = DOMAINS_PER_DEVICE * devices
    yield Finding(
        name,
        "RDMA protection domains",
        f"{held} of {most} are held on {devices} device{'s' if devices > 1 else ''}",
        f"fewer than {DOMAINS_TO_WARN_OF} of {DOMAINS_PER_DEVICE} on each: killed ranks do not give theirs back",
        "Restart the Mac before the next start of its replica: only that gives them back.",
        severity="error" if held >= most else "note",
        by_hand="power" if held >= most else None,
    )


def _used_devices(view: View, name: str) -> int:
    """How many RDMA devices the machine's rank opens; a start that fails loses one domain on each of them."""
    fellows = view.fellows(name)
    return len(fellows[1]) if fellows else len(view.cluster.neighbours(name))
