"""What is wrong with one rank of a generation, in words for a person. Pure.

When one rank falls its neighbours follow within moments; `weight` puts what is most likely the cause first.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from serving.api import AgentState, RankReport
from serving.configuration import ReplicaConfiguration
from serving.rank.status import RankStatus


@dataclass(frozen=True)
class Fault:
    """Why a generation cannot go on; the smaller the weight, the nearer to the cause."""

    weight: int
    text: str
    curable: bool = True


def fault(
    replica: ReplicaConfiguration,
    agreement: str,
    rank: int,
    machine: AgentState | None,
    generation: int,
    *,
    started: bool,
) -> Fault | None:
    """What keeps `rank` from its part in `generation`. `started` says that it must have been started by now."""
    member = replica.members[rank]
    place = f"rank {rank} on {member.machine}"
    if machine is None:
        return Fault(1, f"{member.machine}'s agent stopped answering at {member.address}")
    if machine.agreement != agreement:
        return Fault(1, f"{member.machine}'s agent has another configuration of this replica now ({machine.release})")
    report = machine.rank
    if report is None or report.generation != generation:
        if report is not None and report.living:
            return Fault(1, f"a rank of generation {report.generation} lives on {member.machine}")
        return Fault(2, f"{place} is gone: its agent knows of no such rank") if started else None
    return _of_process(place, report) or _of_status(replica, rank, place, report.status)


def unequal_versions(machines: Sequence[AgentState | None]) -> Fault | None:
    """Ranks that run different MLX or mlx-lm versions: they would diverge without a word."""
    reports = [machine.rank for machine in machines if machine is not None and machine.rank is not None]
    statuses = [report.status for report in reports if report.status is not None and report.living]
    versions = {f"mlx {s.mlx} with mlx-lm {s.mlx_lm}": s.machine for s in statuses if s.mlx is not None}
    if len(versions) < 2:
        return None
    seen = " and ".join(f"{machine} has {version}" for version, machine in sorted(versions.items()))
    return Fault(0, f"ranks run different versions: {seen}. Run the deploy again", curable=False)


def _of_process(place: str, report: RankReport) -> Fault | None:
    status = report.status
    if status is not None and status.phase == "refused":
        return Fault(0, status.reason, curable=status.curable)
    if status is not None and status.phase == "ended":
        return Fault(3, f"{place} ended: {status.reason}")
    if not report.living:
        return Fault(1, f"{place} ended {_how(report.exit_code)}{_last_words(report)}")
    return None


def _last_words(report: RankReport) -> str:
    lines = [line.strip() for line in report.last_words.splitlines() if line.strip()]
    return f"; its last words: {' | '.join(lines[-3:])[-400:]}" if lines else ""


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "while no agent watched it"
    if exit_code >= 0:
        return f"with exit code {exit_code}"
    return f"by signal {-exit_code} ({signal.strsignal(-exit_code) or 'unknown'})"


def _of_status(replica: ReplicaConfiguration, rank: int, place: str, status: RankStatus | None) -> Fault | None:
    if status is None or status.phase not in ("loading", "serving"):
        return None
    differences = [
        f"{what} {seen}, needed {needed}" for what, seen, needed in _attested(replica, rank, status) if seen != needed
    ]
    if not differences:
        return None
    return Fault(0, f"{place} disagrees with the declaration: {', '.join(differences)}")


def _attested(replica: ReplicaConfiguration, rank: int, status: RankStatus) -> Iterator[tuple[str, object, object]]:
    yield "transport", status.transport, replica.transport
    yield "size", status.size, len(replica.members)
    yield "rank", status.rank, rank
    yield "weights", status.digest, replica.manifest.digest
