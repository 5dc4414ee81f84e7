"""Every change that is rolled, and every fault that a roll may meet."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.scene import GATEWAY, Scene
from tests.rolls.declaring import Deploy, checkout, damaged, inventory, replicas, weights
from tests.rolls.newer_macos import offered_to_the_others, update
from tests.standin.faults_processes import RANK, running, send
from tests.standin.lab import Lab

Make = Callable[[Scene, Path, int], Deploy]
"""What is deployed, from a directory to put things into and the number of the trial."""

Around = Callable[[Lab], AbstractContextManager[object]]


@dataclass(frozen=True)
class Change:
    """A change that succeeds."""

    summary: str
    make: Make
    before: Make | None = None
    """What has to be deployed first."""
    keeps_one: bool = True
    """Whether a replica is ready all the time."""
    around: Around | None = None
    """How the Macs have to be for it."""
    door: str | None = None
    """The machine at which clients ask once the door they know is closed."""


@dataclass(frozen=True)
class Fault:
    """A change that does not."""

    summary: str
    make: Make
    says: str
    """What is told of it."""
    act: Callable[[Scene, str], None] | None = None
    """Called with each line that the deploy prints."""
    kills: str = ""
    """The deploy gets a signal when it begins the operation that has this in its name."""
    by: signal.Signals = signal.SIGKILL
    """That signal."""
    goes_back: bool = True
    """Whether the replica serves what it served afterwards."""
    asked: bool = False
    """Whether a person sits there, who presses Enter whatever is asked."""
    before: Make | None = None
    """What has to be deployed first, and again afterwards."""
    around: Around | None = None
    """How the Macs have to be for it."""
    mended: Callable[[Scene], None] | None = None
    """What somebody does about it before the next run."""


def _declared(**changes: object) -> Make:
    return lambda scene, _, number: Deploy(inventory(scene.lab, f"changed-{number}", changes))


def _slots(scene: Scene, _: Path, number: int) -> Deploy:
    told = {"context_tokens": 2048 + 256 * number, "slots": 5 + number}
    changes = {f"replicas__{place}__{key}": value for place in (0, 1) for key, value in told.items()}
    return Deploy(inventory(scene.lab, f"slots-{number}", changes))


def _weights(scene: Scene, directory: Path, number: int) -> Deploy:
    return Deploy(inventory(scene.lab, f"weights-{number}", {"weights__0__path": str(weights(directory, number))}))


def _release(scene: Scene, directory: Path, number: int) -> Deploy:
    root = checkout(directory, f"release-{number}", "serving/__init__.py", '"""', f'"""Release {number}. ')
    return Deploy(inventory(scene.lab, "same"), root)


@contextmanager
def _newer(lab: Lab) -> Iterator[None]:
    """26.4 on offer. The gateway's Mac has it: nobody can keep the connections of one that restarts."""
    with offered_to_the_others(lab, GATEWAY):
        yield


@contextmanager
def _undone(lab: Lab) -> Iterator[None]:
    with _newer(lab):
        lab.fault("update-undone", "mac-2")
        try:
            yield
        finally:
            lab.mend("update-undone", "mac-2")


@contextmanager
def _lost(lab: Lab) -> Iterator[None]:
    with _newer(lab):
        lab.fault("restart-never-ends", "mac-2")
        yield


def _shape(**members: str) -> Make:
    shape = "-".join(f"{name}-{machines.replace(' ', '')}" for name, machines in members.items())
    return lambda scene, _, __: Deploy(inventory(scene.lab, shape, replicas(scene.lab, **members)))


def _macos_with(**more: object) -> Make:
    def make(scene: Scene, directory: Path, number: int) -> Deploy:
        told = {**replicas(scene.lab, **BESIDE), "macos": {"update": {**update(directory), **more}}}
        return Deploy(inventory(scene.lab, f"macos-{number}-{len(more)}", told))

    return make


def _shape_with_slots(**members: str) -> Make:
    def make(scene: Scene, _: Path, number: int) -> Deploy:
        told = replicas(scene.lab, **members)
        more = {f"replicas__{place}__slots": 5 + number for place in range(len(members))}
        return Deploy(inventory(scene.lab, f"slots-of-{'-'.join(members)}-{number}", {**told, **more}))

    return make


PAIRS = {"a": "mac-1 mac-2", "b": "mac-3 mac-4"}
UNEQUAL = {"a": "mac-1", "b": "mac-2 mac-3", "c": "mac-4"}
BESIDE = {"a": "mac-2", "b": "mac-3 mac-4"}
"""The gateway has a Mac to itself."""
THREE = {"a": "mac-1 mac-2", "b": "mac-3"}

CHANGES: Mapping[str, Change] = {
    "weights": Change("other weights", _weights),
    "release": Change("a newer release", _release),
    "slots": Change("another context and other slots", _slots),
    "macos": Change("macOS 26.3 becomes 26.4, with restarts", _macos_with(), _shape(**BESIDE), around=_newer),
    "unequal": Change("three replicas of 1, 2 and 1 Macs change", _shape_with_slots(**UNEQUAL), _shape(**UNEQUAL)),
    "three": Change("2 and 1 of three Macs change", _shape_with_slots(**THREE), _shape(**THREE)),
    "one": Change(
        "the only replica changes",
        _shape_with_slots(a="mac-1 mac-2"),
        _shape(a="mac-1 mac-2"),
        keeps_one=False,
    ),
    "grow": Change("a Mac comes to replica b", _shape(a="mac-1 mac-2", b="mac-3 mac-4"), _shape(**THREE)),
    "shrink": Change("a Mac leaves replica b", _shape(**THREE), _shape(**PAIRS)),
    "moved": Change("the gateway moves to mac-3", _declared(gateway__machine="mac-3"), door="mac-3"),
    "split": Change("b becomes two", _shape(a="mac-1 mac-2", b="mac-3", c="mac-4"), _shape(**PAIRS)),
}


def _broken(file: str, old: str, new: str) -> Make:
    return lambda scene, directory, _: Deploy(
        inventory(scene.lab, "same"), checkout(directory, "broken", file, old, new)
    )


def _wrong_weights(scene: Scene, directory: Path, _: int) -> Deploy:
    return Deploy(inventory(scene.lab, "damaged", {"weights__0__path": str(damaged(directory))}))


def _slow_down(scene: Scene, line: str) -> None:
    """From when the new ranks are asked to start, the rank on mac-2 runs for a twentieth of the time."""
    if "Replica a: start its ranks together" not in line:
        return

    def hold() -> None:
        over = threading.Event()
        for _ in range(1000):
            pid = running(scene.lab, "mac-2", RANK)
            if pid is not None:
                send(pid, signal.SIGSTOP)
                over.wait(0.25)
                send(pid, signal.SIGCONT)
            over.wait(0.02)

    threading.Thread(target=hold, daemon=True).start()


def _cut(scene: Scene, line: str) -> None:
    if "Replica a: load agents" in line:
        scene.lab.fault("management-cut", "mac-2")


def _rejoin(scene: Scene) -> None:
    scene.lab.mend("management-cut", "mac-2")


def _switch_on(scene: Scene) -> None:
    scene.lab.mend("restart-never-ends", "mac-2")
    scene.lab.wait_until_on("mac-2")


_LOAD, _READY, _RECORD = "Replica a: load agents", "Replica a: start its ranks", "Replica a: write down"

FAULTS: Mapping[str, Fault] = {
    "software-broken": Fault(
        "the new release cannot be loaded",
        _broken("serving/agent/daemon.py", "def main(", "raise SystemExit(3)\n\n\ndef main("),
        "Lay our software",
        goes_back=False,
    ),
    "release-broken": Fault(
        "the new release's agent does not start",
        _broken("serving/agent/daemon.py", '"""Serve until SIGTERM."""', "raise SystemExit(3)"),
        "replica 'a' did not become ready",
    ),
    "rank-broken": Fault(
        "the new release's rank does not start",
        _broken("serving/rank/process.py", "signal.signal(signal.SIGTERM, signal.SIG_DFL)", "raise SystemExit(3)"),
        "replica 'a' did not become ready",
    ),
    "weights-wrong": Fault("the new weights say something else", _wrong_weights, "cannot trust replica 'a'"),
    "no-rdma": Fault(
        "a transport that this build has not", _declared(replicas__0__transport="jaccl"), "not in this MLX build"
    ),
    "golden-wrong": Fault(
        "the golden answer is another",
        _declared(weights__0__golden__answer="Nothing that it would say"),
        "needed an answer that begins with",
    ),
    "golden-asked": Fault(
        "the golden answer is another, and a person is asked",
        _declared(weights__0__golden__answer="Nothing that it would say"),
        "needed an answer that begins with",
        asked=True,
    ),
    "slower": Fault("the new ranks are slower than the floor", _slots, "of the", _slow_down),
    "macos-undone": Fault(
        "the update of mac-2 is undone",
        _macos_with(),
        "cannot update mac-2: it restarted and runs macOS 26.3 (25D125), needed macOS 26.4 (25E246)",
        around=_undone,
        before=_shape(**BESIDE),
    ),
    "reboot-lost": Fault(
        "mac-2 never comes back from its restart, until somebody presses its power button",
        _macos_with(restart_within_seconds=30),
        "it went away to restart for macOS 26.4 (25E246), and has not answered",
        goes_back=False,
        around=_lost,
        before=_shape(**BESIDE),
        mended=_switch_on,
    ),
    "ssh-lost": Fault("mac-2 is cut off in the middle", _slots, "mac-2", _cut, goes_back=False, mended=_rejoin),
    "ssh-lost-asked": Fault(
        "mac-2 is cut off in the middle, and a person is asked",
        _slots,
        "mac-2",
        _cut,
        goes_back=False,
        asked=True,
        mended=_rejoin,
    ),
    "killed-drained": Fault("the deploy is killed as it loads agents", _slots, "", kills=_LOAD),
    "killed-loaded": Fault("the deploy is killed as ranks start", _slots, "", kills=_READY),
    "killed-proven": Fault("the deploy is killed before it writes down", _slots, "", kills=_RECORD),
    "interrupted": Fault(
        "somebody presses Ctrl-C as ranks start",
        _slots,
        "replica 'a' is in the middle of its change",
        kills=_READY,
        by=signal.SIGINT,
    ),
    "gateway-broken": Fault(
        "the new release's gateway does not start",
        _broken("serving/gateway/house.py", "class House:", "raise SystemExit(3)\n\n\nclass House:"),
        "was never stopped and serves",
        goes_back=False,
    ),
}
