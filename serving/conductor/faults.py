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

_FOLLOWS = 3


@dataclass(frozen=True)
class Fault:
    """Why a generation cannot go on; the smaller the weight, the nearer to the cause."""

    weight: int
    text: str
    curable: bool = True

    @property
    def follows(self) -> bool:
        """Whether it is what a rank sees of another's end, and no cause."""
        return self.weight == _FOLLOWS


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
        return Fault(1, f"{member.machine} has changed: {other_release(member.machine, machine)}")
    report = machine.rank
    if report is None or report.generation != generation:
        if report is not None and report.living:
            return Fault(1, f"a rank of generation {report.generation} lives on {member.machine}")
        if started:
            return Fault(2, f"{place} is gone: its agent knows of no such rank")
        return Fault(1, machine.unable) if machine.unable else None
    return _of_process(place, machine, report) or _of_status(replica, rank, place, report.status)


def struck_down(replica: ReplicaConfiguration, machines: Sequence[AgentState | None], generation: int) -> list[str]:
    """Which ranks of `generation` a signal ended that came from nobody of ours, and how."""
    reports = [(machine, machine.rank) for machine in machines if machine is not None and machine.rank is not None]
    places = {member.machine: f"rank {rank} on {member.machine}" for rank, member in enumerate(replica.members)}
    return [
        f"{places[machine.machine]} {_how(machine, report)}"
        for machine, report in reports
        if report.generation == generation and not report.killed and _is_foreign(report.exit_code)
    ]


def _is_foreign(code: int | None) -> bool:
    return code is not None and code < 0 and code != -signal.SIGTERM


def other_release(name: str, machine: AgentState) -> str:
    """That a machine and the conductor's differ in configuration or software."""
    return f"{name}'s agent, release {machine.release}, has another configuration or software of this replica"


def unequal_versions(machines: Sequence[AgentState | None]) -> Fault | None:
    """Ranks that run different MLX or mlx-lm versions: they would diverge without a word."""
    reports = [machine.rank for machine in machines if machine is not None and machine.rank is not None]
    statuses = [report.status for report in reports if report.status is not None and report.living]
    versions = {f"mlx {s.mlx} with mlx-lm {s.mlx_lm}": s.machine for s in statuses if s.mlx is not None}
    if len(versions) < 2:
        return None
    seen = " and ".join(f"{machine} has {version}" for version, machine in sorted(versions.items()))
    return Fault(0, f"ranks run different versions: {seen}. Run the deploy again", curable=False)


def _of_process(place: str, machine: AgentState, report: RankReport) -> Fault | None:
    status = report.status
    if status is not None and status.phase == "refused":
        return Fault(0, status.reason, curable=status.curable)
    if status is not None and status.phase == "ended":
        return Fault(_FOLLOWS, f"{place} ended: {status.reason}")
    if not report.living:
        return Fault(1, f"{place} {_how(machine, report)}{_last_words(report)}")
    return None


def _last_words(report: RankReport) -> str:
    lines = [line.strip() for line in report.last_words.splitlines() if line.strip()]
    return f"; its last words: {' | '.join(lines[-3:])[-400:]}" if lines else ""


def _how(machine: AgentState, report: RankReport) -> str:
    code = report.exit_code
    if report.killed:
        return "was killed by its agent, because it did not end in its time after SIGTERM"
    if code is None:
        return "ended; how is not known, for the agent that started it had gone"
    if code == -signal.SIGKILL:
        return f"was killed, not by its agent: likely by macOS, for memory ({_memory(machine, report)})"
    if code == 0:
        return "ended by itself, with exit code 0, though nobody stopped it"
    if code > 0:
        return f"ended with exit code {code}"
    return f"ended by signal {-code} ({signal.strsignal(-code) or 'unknown'})"


def _memory(machine: AgentState, report: RankReport) -> str:
    held = (
        "nobody saw how much it held" if report.memory_bytes is None else f"it held {report.memory_bytes / 1e9:.1f} GB"
    )
    return f"{held}; pressure now: {machine.pressure or 'not known'}"


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
