"""A replica of two machines as its daemons are told of it, and what an agent says when all is well."""

from __future__ import annotations

from typing import Any

from serving.api import AgentState, Pressure, RankReport, agreement
from serving.configuration import Manifest, Member, ReplicaConfiguration
from serving.declared import Golden
from serving.rank.status import Activity, Phase, RankStatus, Tick

MACHINES = ("mac-1", "mac-2")
DIGEST = "d1"


def replica(rank: int = 0, **changes: Any) -> ReplicaConfiguration:
    """Replica a over TCP ring, seen from one of its machines."""
    told = ReplicaConfiguration(
        name="a",
        members=tuple(Member(machine=machine, address=f"10.0.0.{n}") for n, machine in enumerate(MACHINES, start=1)),
        rank=rank,
        transport="ring",
        sharding="tensor",
        ring=(("10.213.0.1:32323",), ("10.213.0.2:32324",)),
        weights="cider-1",
        weights_directory="/weights/cider-1",
        manifest=Manifest(files={}, digest=DIGEST),
        golden=Golden(question="Who?", answer="Me"),
        context_tokens=2048,
        slots=4,
        queue=8,
        wait_seconds=30,
        restarts=2,
        grace_seconds=30,
        rank_port=7441,
    )
    return told.model_copy(update=changes)


def status(rank: int, phase: Phase, /, generation: int = 1, **changes: Any) -> RankStatus:
    """What rank `rank` says of itself in a phase."""
    joined = {"transport": "ring", "rank": rank, "size": 2} if phase in ("loading", "serving") else {}
    told = RankStatus(
        machine=MACHINES[rank],
        generation=generation,
        pid=100 + rank,
        phase=phase,
        digest=None if phase == "checking" else DIGEST,
        mlx=None if phase == "checking" else "0.32.4",
        mlx_lm=None if phase == "checking" else "0.32.2",
        **joined,
    )
    return told.model_copy(update=changes)


def machine(rank: int, report: RankReport | None = None, **changes: Any) -> AgentState:
    """What the agent of rank `rank` says."""
    told = AgentState(machine=MACHINES[rank], boot="b", release="r1", agreement=agreement(replica(rank)), rank=report)
    return told.model_copy(update=changes)


def living(rank: int, phase: Phase, /, generation: int = 1, **changes: Any) -> AgentState:
    """What the agent says while its rank lives."""
    return machine(
        rank,
        RankReport(
            generation=generation,
            living=True,
            status=status(rank, phase, generation, **changes),
            agreement=agreement(replica(rank)),
        ),
    )


def ticking(
    rank: int, steps: int, beats: int, activity: Activity = "idle", phase: Phase = "serving", generation: int = 1
) -> AgentState:
    """What the agent says while its rank's counters are there."""
    told = living(rank, phase, generation)
    assert told.rank is not None
    return told.model_copy(update={"rank": told.rank.model_copy(update={"tick": Tick(steps, beats, activity)})})


def gone(
    rank: int,
    exit_code: int | None,
    generation: int = 1,
    told: RankStatus | None = None,
    words: str = "",
    pressure: Pressure | None = None,
    **changes: Any,
) -> AgentState:
    """What the agent says when its rank has ended."""
    report = RankReport(generation=generation, living=False, exit_code=exit_code, status=told, last_words=words)
    return machine(rank, report.model_copy(update=changes), pressure=pressure)
