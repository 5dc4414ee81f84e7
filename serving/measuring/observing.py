"""A replica as a receipt describes it, from what was declared, read and told of it, beside what is expected. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from serving import cabling
from serving.anatomy.reading import Source
from serving.anatomy.values import Anatomy
from serving.api import AgentState
from serving.cluster import Cluster
from serving.configuration import ReplicaConfiguration
from serving.errors import CidermillError
from serving.measuring import asking, calibration
from serving.measuring.expecting import as_served, expected, kind_of
from serving.measuring.receipt import Measured, MeasuredCable, MeasuredMachine, MeasuredReplica
from serving.measuring.receipts import Kept
from serving.placement.constants import FITTED, Constants
from serving.placement.speed import Setting
from serving.placement.wish import Here
from serving.rank.status import RankStatus
from serving.seen import Mac, Seen

PUBLISHED = "published measurements; nothing like it was measured here before"


def unread(machines: Sequence[str], seen: Mapping[str, Seen]) -> str:
    """Why Macs cannot be described; "" when they can."""
    for name in machines:
        mac = seen[name].mac if name in seen else None
        if not isinstance(mac, Mac):
            return f"{name} could not be read: {'it was not looked at' if mac is None else mac.problem}"
    return ""


def why_not(state: AgentState) -> str:
    """Why a replica is not measured as it is now; "" when it can be."""
    if problem := asking.why_not(state.model_dump()):
        return problem
    status = _status(state, 0)
    if status is None or status.digest is None or status.mlx is None or status.mlx_lm is None:
        return f"the rank on {state.machine} does not tell what it runs. Deploy first"
    return ""


def replica(
    cluster: Cluster,
    seen: Mapping[str, Seen],
    running: ReplicaConfiguration,
    state: AgentState,
    points: Sequence[Measured],
    notes: Sequence[str],
) -> MeasuredReplica:
    """One replica that was measured; `why_not` and `unread` had nothing against it."""
    status = _status(state, 0)
    if status is None:
        raise ValueError(f"nothing is told of rank 0 of {running.name}")
    names = [member.machine for member in running.members]
    return MeasuredReplica(
        name=running.name,
        machines=tuple(_machine(name, seen[name]) for name in names),
        cables=tuple(
            MeasuredCable(between=cable.link.between, speed=next((p.speed for p in cable.ports if p), None))
            for cable in cabling.cables(cluster, seen)
            if {*cable.link.between} <= {*names}
        ),
        transport=running.transport,
        sharding=running.sharding,
        layers=_layers(state, len(names)) if running.sharding == "pipeline" else None,
        context_tokens=running.context_tokens,
        slots=running.slots,
        weights=running.weights,
        kind=None,
        digest=status.digest or "",
        release=state.release,
        mlx=status.mlx or "",
        mlx_lm=status.mlx_lm or "",
        collective=status.collective,
        points=tuple(points),
        notes=tuple(notes),
    )


def beside(measured: MeasuredReplica, source: Callable[[], Source], kept: Kept) -> MeasuredReplica:
    """The same with what is expected of each point, by what `plan` would rest on; `source` reads its weights."""
    try:
        ranks = [len(measured.machines)] if measured.sharding == "tensor" else []
        anatomy = source().anatomy(ranks, memory=False)
        measured = measured.model_copy(update={"kind": kind_of(anatomy)})
        constants, rests_on, words = _basis(measured, anatomy, kept)
        points = expected(measured.points, as_served(anatomy, measured, constants), rests_on)
    except CidermillError as error:
        note = f"nothing is expected of it: {error}"
        return measured.model_copy(update={"notes": (*measured.notes, note.rstrip("."))})
    return measured.model_copy(update={"points": tuple(points), "notes": (*measured.notes, *words)})


def _basis(measured: MeasuredReplica, anatomy: Anatomy, kept: Kept) -> tuple[Constants, str, tuple[str, ...]]:
    """The constants to expect with, what they rest on, and what has to be said of what was measured before."""
    found, reasons = calibration.find(kept, kind_of(anatomy), measured.software, measured.name)
    made = None if found is None else calibration.of(*found, anatomy)
    at = as_served(anatomy, measured)
    if made is None or _how(made.here) != _how(at):
        return FITTED, PUBLISHED, reasons
    words = tuple(f"on {made.here.day} {each}" for each in made.words)
    return made.here.constants, f"measured here on {made.here.day}", (*reasons, *words)


def _how(served: Here | Setting) -> tuple[str, int, str | None]:
    return served.sharding, served.ranks, served.transport


def _machine(name: str, seen: Seen) -> MeasuredMachine:
    mac = seen.mac
    if not isinstance(mac, Mac):
        raise TypeError(f"{name} could not be read: {mac.problem}")
    return MeasuredMachine(name=name, chip=mac.chip, memory_gb=mac.memory_gb, macos=mac.macos, build=mac.build)


def _layers(state: AgentState, ranks: int) -> tuple[int, ...] | None:
    """How many each rank holds, by what the ranks say; None where one does not."""
    held = [status.layers if (status := _status(state, rank)) else None for rank in range(ranks)]
    return tuple(each[1] - each[0] for each in held if each) if all(held) else None


def _status(state: AgentState, rank: int) -> RankStatus | None:
    if state.replica is None:
        return None
    told = [report.status for report in state.replica.ranks.values() if report is not None and report.living]
    return next((status for status in told if status is not None and (status.rank or 0) == rank), None)
