"""`cidermill bench`: how fast every replica is, measured at its own endpoint, beside what the model expects of it.

Each point is asked by a command on the Mac of rank 0, so that neither SSH nor this machine is part of it, and no token
leaves the Mac. Replicas are measured one after the other, with no more requests at once than they have slots. What was
measured is kept as a receipt; nothing on the Macs is changed.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from paramiko import SSHException
from pydantic import TypeAdapter, ValidationError
from pyinfra.api.exceptions import OperationError
from pyinfra.api.host import Host
from rich.console import Console

from operations import asking, control, fleet
from operations.command.connecting import Connected, connected, console
from operations.console import drawn
from operations.facts.texts import Texts
from operations.inventory import machine_name
from operations.lab import judging
from operations.remote import read, run, working_on
from serving import layout, looking, seen
from serving.anatomy.keeping import declared_of
from serving.api import AgentState
from serving.cluster import Cluster
from serving.command.sources import source_of
from serving.configuration import AgentConfiguration, ReplicaConfiguration
from serving.declared import Replica
from serving.measuring import observing, receipts, summary, telling
from serving.measuring.points import Asking, Done, Taken, following
from serving.measuring.receipt import MeasuredReplica, Receipt
from serving.measuring.sample import Order, Sample
from serving.record import Proven, proven
from serving.release import command
from serving.supply.pinned import Known

_SAMPLE = TypeAdapter(Sample)
_GRACE_SECONDS = 30
"""For a Mac that is busy to start the command and to end it."""


class NotMeasured(Exception):
    """Why a replica is not measured."""


@dataclass(frozen=True)
class _Lab:
    """What there is to know of the lab before anything is measured."""

    connected: Connected
    seen: Mapping[str, seen.Seen]
    proven: Mapping[str, Proven]
    kept: receipts.Kept
    known: Mapping[str, Known]
    progress: Console

    @property
    def cluster(self) -> Cluster:
        return self.connected.cluster

    def host(self, machine: str) -> Host:
        return next(host for host in self.connected.state.inventory if machine_name(host) == machine)


@dataclass
class _Course:
    """What came of one replica so far."""

    taken: list[Taken] = field(default_factory=list[Taken])
    notes: list[str] = field(default_factory=list[str])


def bench(inventory: Path, *, as_json: bool) -> int:
    """Measure, print and keep; 0 when every replica was measured, else 1."""
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    measured: list[MeasuredReplica] = []
    not_measured: dict[str, str] = {}
    with connected(inventory) as connection:
        lab = _looked(connection, console(quiet=True))
        for replica in lab.cluster.replicas:
            try:
                measured.append(_measured(lab, replica))
            except NotMeasured as why:
                not_measured[replica.name] = str(why)
                lab.progress.print(f"{replica.name}: not measured: {why}", markup=False, soft_wrap=True)
    receipt = Receipt(
        lab=lab.cluster.name,
        at=at,
        cidermill=version("cidermill"),
        replicas=tuple(measured),
        not_measured=not_measured,
    )
    path = receipts.write(control.receipts(lab.cluster.name), receipt) if measured else None
    _print(receipt, path, lab.kept, as_json=as_json)
    return 1 if not_measured else 0


def _looked(connection: Connected, progress: Console) -> _Lab:
    fleet.cannot_reach(connection.unreachable)
    with progress.status(f"Looking at {len(connection.cluster.machines)} Macs"):
        lab = judging.judged(connection.cluster)
    serving = {each.name: each for each in proven(looking.records(lab.facts))}
    return _Lab(connection, lab.seen, serving, lab.measured, lab.known, progress)


def _measured(lab: _Lab, replica: Replica) -> MeasuredReplica:
    """Measure one replica. Raises NotMeasured."""
    serving = lab.proven.get(replica.name)
    if serving is None:
        raise NotMeasured("nothing was proven to serve it. Deploy first")
    if serving.machines != replica.machines:
        raise NotMeasured(f"it serves on {', '.join(serving.machines)}, declared otherwise. Deploy first")
    if problem := observing.unread(replica.machines, lab.seen):
        raise NotMeasured(problem)
    first, release = lab.host(serving.first), serving.releases[serving.first]
    if not first.connected:
        raise NotMeasured(lab.connected.unreachable.get(serving.first, f"{serving.first} is not connected"))
    running, state = _running(first, release)
    if problem := observing.why_not(state):
        raise NotMeasured(problem)
    course = _course(lab, first, release, running)
    points = summary.summaries(course.taken)
    if not points:
        raise NotMeasured("; ".join(course.notes) or "its answers were too short to tell anything")
    found = observing.replica(lab.cluster, lab.seen, running, state, points, course.notes)
    weights = lab.cluster.weights_of(replica)
    source = partial(source_of, str(lab.known[weights.name].directory), declared_of(weights))
    with lab.progress.status(f"{replica.name}: what is expected"):
        return observing.beside(found, source, lab.kept)


def _running(first: Host, release: str) -> tuple[ReplicaConfiguration, AgentState]:
    """What the agent of rank 0 was told, and what it says."""
    directory = f"{layout.RELEASES}/{release}"
    path = f"{directory}/agent.json"
    try:
        with working_on(first):
            text = read(first, Texts, paths=[path])[path]
            told = asking.state(command(directory, "serving.agent.status", "agent.json"))
        if "problem" in told:
            raise NotMeasured(f"its agent cannot be asked: {told['problem']}")
        configuration, state = AgentConfiguration.model_validate_json(text or ""), AgentState.model_validate(told)
    except OperationError as error:
        raise NotMeasured(f"its agent cannot be asked: {error}") from error
    except ValidationError as error:
        raise NotMeasured(f"release {release} on {machine_name(first)} is of another version. Deploy first") from error
    if configuration.replica is None:
        raise NotMeasured(f"release {release} on {machine_name(first)} keeps no replica. Deploy first")
    return configuration.replica, state


def _course(lab: _Lab, first: Host, release: str, running: ReplicaConfiguration) -> _Course:
    """Ask one point after the other, as long as there is something to learn and time for it."""
    course, began, name = _Course(), time.monotonic(), running.name
    before = {point.wanted_tokens for _, each in lab.kept.of(name)[:1] for point in each.points}
    measuring = command(f"{layout.RELEASES}/{release}", "serving.agent.measure", "agent.json")
    with lab.progress.status(f"{name}: a first look") as status:
        while True:
            spent = time.monotonic() - began
            step = following(running.context_tokens, running.slots, course.taken, spent, before)
            if isinstance(step, Done):
                course.notes += [*summary.notes(course.taken), *(f"left out: {each}" for each in step.left_out)]
                return course
            status.update(f"{name}: {step.words} ({spent:.0f} s so far)")
            sample = _sample(first, measuring, step.order)
            course.taken.append(Taken(step.point, step.order, sample))
            lab.progress.print(f"{name}: {_told(step, sample)}", markup=False, soft_wrap=True)
            if sample.problem:
                course.notes += [*summary.notes(course.taken[:-1]), f"ended early, at {step.words}: {sample.problem}"]
                return course


def _sample(first: Host, measuring: list[str], order: Order) -> Sample:
    seconds = round(order.seconds + _GRACE_SECONDS)
    told = json.dumps(asdict(order))
    try:
        succeeded, output = run(first, shlex.join(measuring), timeout_seconds=seconds, as_root=True, stdin=told)
    except (TimeoutError, OSError, EOFError, SSHException) as error:
        return Sample(problem=f"{machine_name(first)} did not answer within {seconds} s {error}".rstrip())
    if "No module named" in output.stderr:
        return Sample(problem="its release is older than this command. Deploy first")
    documents = [line for line in output.stdout_lines if line.startswith("{")]
    if not succeeded or not documents:
        return Sample(problem=output.stderr.strip() or "the command on the Mac ended without a word")
    try:
        return _SAMPLE.validate_json(documents[-1])
    except ValidationError as error:
        said = documents[-1][:200]
        return Sample(problem=f"the command on the Mac said {said!r} ({error.error_count()} faults). Deploy first")


def _told(step: Asking, sample: Sample) -> str:
    if sample.problem:
        return f"{step.words}: {sample.problem}"
    rate = "too short to tell" if sample.tokens_per_second is None else f"{sample.tokens_per_second:.1f} tokens/s"
    firsts = max(sample.first_token_seconds, default=None)
    first = "" if firsts is None else f", the first after {firsts:.2f} s"
    return f"{step.words}: {rate}{first}{', cut off' if sample.cut else ''}"


def _print(receipt: Receipt, path: Path | None, kept: receipts.Kept, *, as_json: bool) -> None:
    if as_json:
        print(receipt.model_dump_json(indent=2))
        return
    out = console()
    out.print(drawn(telling.COLUMNS, telling.rows(receipt)))
    kept_at = "Nothing was measured, so no receipt is kept." if path is None else f"The receipt is {path}."
    for line in ("", *telling.below(receipt), *kept.problems, kept_at):
        out.print(line, soft_wrap=True, markup=False)
