"""Every fault of the matrix: how it comes, what of it a person mends, and whose connections end with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.faults.mending import afresh, deploy_again
from tests.faults.records import Cold, Door
from tests.faults.scene import GATEWAY, REPLICAS, Place, Scene
from tests.standin.fault import forget
from tests.standin.faults import FAULTS
from tests.standin.faults_cables import cable_between, silence, sound

Act = Callable[[Scene, Place], None]
Ends = Literal["nothing", "agent", "machine", "gateway"]


@dataclass(frozen=True)
class Kind:
    """A fault of the matrix."""

    summary: str
    put: Act
    ends: Ends = "nothing"
    mend: Act | None = None
    lasts: float = 0.0
    """How long it stays in before a person mends it."""
    ranks: tuple[int, ...] = (0, 1)
    """Whose machine it is about: every rank's, or only one's where the other end is the same fault."""
    is_bounded: bool = True
    cold: Cold = "agents"
    """The start that its way back is compared with."""
    breaks: bool = False
    """A person is needed, and comes when the replica says so."""
    watched: Literal["replica", "gateway"] = "replica"
    clean: Act | None = None
    """Makes sure that nothing of it is left behind."""


def closes(kind: Kind, place: Place) -> frozenset[Door]:
    """The doors whose clients lose their connection to a process or machine that ends with the fault."""
    doors: set[Door] = set()
    if kind.ends in ("agent", "machine") and place.rank == 0:
        doors.add("endpoint")
    if kind.ends == "gateway" or (kind.ends == "machine" and place.machine == GATEWAY):
        doors.add("gateway")
    return frozenset(doors)


def _fault(name: str) -> Act:
    return lambda scene, place: scene.lab.fault(name, place.machine)


def _mend(name: str) -> Act:
    return lambda scene, place: scene.lab.mend(name, place.machine)


def _forget(name: str) -> Act:
    return lambda scene, place: forget(scene.lab, place.machine, FAULTS[name])


def _then(*acts: Act) -> Act:
    def all_of_them(scene: Scene, place: Place) -> None:
        for act in acts:
            act(scene, place)

    return all_of_them


def _silence(scene: Scene, place: Place) -> None:
    silence(scene.lab, cable_between(scene.lab.rack(), *REPLICAS[place.replica][:2]))


def _sound(scene: Scene, place: Place) -> None:
    sound(scene.lab, cable_between(scene.lab.rack(), *REPLICAS[place.replica][:2]))


def _on_gateway(name: str) -> Act:
    return lambda scene, _: scene.lab.fault(name, GATEWAY)


KINDS: Mapping[str, Kind] = {
    "rank-killed": Kind("SIGKILL of a rank", _fault("rank-killed")),
    "rank-frozen": Kind("SIGSTOP of a rank", _fault("rank-frozen"), clean=_mend("rank-frozen")),
    "rank-exits-0": Kind("a rank that exits 0", _fault("rank-exits-0")),
    "rank-out-of-memory": Kind("a rank killed for memory by the kernel", _fault("rank-out-of-memory")),
    "cable-cut": Kind("the cable cut without a reset", _silence, mend=_sound, lasts=10, ranks=(0,), clean=_sound),
    "management-cut": Kind(
        "the management LAN cut at a machine",
        _fault("management-cut"),
        mend=_mend("management-cut"),
        lasts=12,
        clean=_mend("management-cut"),
    ),
    "reboot": Kind("a machine that restarts", _fault("reboot"), ends="machine", mend=_mend("reboot"), cold="Macs"),
    "agent-killed": Kind("SIGKILL of an agent", _fault("agent-killed"), ends="agent"),
    "agent-frozen": Kind(
        "SIGSTOP of an agent for 20 s",
        _fault("agent-frozen"),
        mend=_mend("agent-frozen"),
        lasts=20,
        clean=_mend("agent-frozen"),
    ),
    "disk-full": Kind(
        "not a byte left on a disk", _fault("disk-spent"), mend=_mend("disk-spent"), lasts=8, clean=_mend("disk-spent")
    ),
    "disk-full-rank-killed": Kind(
        "a rank killed where not a byte is left",
        _then(_fault("disk-spent"), _fault("rank-killed")),
        mend=_mend("disk-spent"),
        lasts=8,
        clean=_mend("disk-spent"),
    ),
    "weights-wrong": Kind(
        "a wrong bit in the weights, and the ranks start again",
        _then(_fault("weights-changed"), _fault("rank-killed")),
        mend=_then(_mend("weights-changed"), afresh),
        breaks=True,
        ranks=(1,),
        clean=_mend("weights-changed"),
    ),
    "weights-wrong-deploy": Kind(
        "the same, mended by a deploy",
        _then(_fault("weights-changed"), _fault("rank-killed")),
        mend=_then(deploy_again, _forget("weights-changed")),
        breaks=True,
        ranks=(1,),
        is_bounded=False,
        clean=_mend("weights-changed"),
    ),
    "release-other": Kind(
        "an agent of another release",
        _fault("release-other"),
        ends="agent",
        mend=_mend("release-other"),
        lasts=5,
        ranks=(1,),
        clean=_mend("release-other"),
    ),
    "gateway-killed": Kind(
        "SIGKILL of the gateway",
        _on_gateway("gateway-killed"),
        ends="gateway",
        ranks=(0,),
        is_bounded=False,
        watched="gateway",
    ),
}
