"""A roll told beforehand: what each Mac goes through, the pause to expect, and who serves meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serving import updating
from serving.declared import Replica
from serving.measuring.receipts import NONE, Kept
from serving.measuring.telling import forecast
from serving.placement.advising import expected
from serving.placement.declared import Placed
from serving.record import Proven
from serving.report import base_url
from serving.roll import Roll
from serving.rolling import Turn


def lines(roll: Roll, kept: Kept = NONE) -> list[str]:
    """The whole roll, a line for each step; none when no replica changes. `kept` is what was measured of the lab."""
    turns = [turn for turn in roll.taken if turn.changes]
    steps = [line for number, turn in enumerate(turns, start=1) for line in _turn(roll, number, turn, kept)]
    notes = [f"note: {problem}" for problem in kept.problems]
    head = ["The roll, in turns; each begins only when the one before it is proven:", *steps, *notes] if turns else []
    told = [*head, *_spares(roll), *(_afterwards(roll) if turns else _moved(roll))]
    return ["", *told, ""] if told else []


def _turn(roll: Roll, number: int, turn: Turn, kept: Kept) -> Iterator[str]:
    yield f"{number}. {_title(turn)}"
    for old in turn.drained:
        yield f"   drain {old.name}: {_drained(roll, turn, old)}"
    yield from _restarts(roll, turn)
    for name in turn.machines:
        yield f"   {name}: {_agent(roll, turn, name)}"
    if turn.replica is not None:
        placed = roll.plan.placed.get(turn.name)
        if isinstance(placed, Placed):
            yield f"   expect of {turn.name}: {expected(placed)}"
        yield f"   prove {turn.name}: {_proof(roll, turn.replica)}"
        yield from _speed(roll, turn.replica, kept)
        yield f"   pause of {turn.name}: {_pause(turn, turn.replica)}; {_meanwhile(roll, turn)}"
    else:
        yield f"   {_meanwhile(roll, turn)}"
    yield f"   if it is not proven: {_otherwise(turn)}"


def _title(turn: Turn) -> str:
    before = ", ".join(each.name for each in turn.drained if each.name != turn.name)
    if turn.replica is None:
        return f"replica {turn.name} ends"
    made = f"replica {turn.name} on {', '.join(turn.replica.machines)}, weights {turn.replica.weights}"
    return f"{made}, out of {before}" if before else made


def _drained(roll: Roll, turn: Turn, old: Proven) -> str:
    if old.machines[0] not in {machine.name for machine in roll.plan.cluster.machines}:
        return f"{old.machines[0]} is no longer declared, so nobody tells it; answers under way go on elsewhere"
    if roll.works_until_restart(turn):
        return "takes requests until its agent ends; answers under way then stand still, and go on with the pause's end"
    if roll.goes_on(turn):
        return "takes nothing new; answers under way stand still, and go on with the pause's end"
    seconds = roll.plan.cluster.rolling.drain_seconds
    return f"takes nothing new; answers under way have {seconds} s, then they go on elsewhere"


def _restarts(roll: Roll, turn: Turn) -> Iterator[str]:
    for line in _restart(roll, turn.machines, "all together, with a restart of each"):
        yield f"   {line}"


def _spares(roll: Roll) -> Iterator[str]:
    """Macs without a replica that are brought to another macOS."""
    cluster = roll.plan.cluster
    spares = sorted(each.name for each in cluster.machines if updating.is_spare(cluster, each.name))
    return _restart(roll, spares, "when all replicas are proven, with a restart")


def _restart(roll: Roll, machines: Sequence[str], how: str) -> Iterator[str]:
    """What is told of those of these machines that are due for another macOS."""
    update = roll.plan.cluster.macos.update if roll.plan.cluster.macos else None
    due = updating.machines_due(roll.plan.cluster, roll.plan.seen)
    names = [name for name in machines if name in due]
    if update is None or not names:
        return
    most = update.install_within_seconds + update.restart_within_seconds
    yield (
        f"{', '.join(names)}: macOS {update.version} ({update.build}), {how}, at most {most} s; that cannot be undone"
    )
    for name in sorted({*names}.intersection(roll.doors)):
        yield f"{name} carries the gateway: while it restarts clients reach nothing, and answers through it break off"


def _agent(roll: Roll, turn: Turn, machine: str) -> str:
    new, record = roll.plan.agent(machine).name, roll.records.get(machine)
    before = "no agent that was proven" if record is None else record.release
    if machine in turn.let_go:
        return f"leaves its replica: {before} → {new}, which keeps no rank"
    return f"agent {before} → {new}"


def _proof(roll: Roll, replica: Replica) -> str:
    least = roll.plan.cluster.rolling.least_speed
    speed = "" if least is None else f", at least {least:.0%} of its speed before"
    manifest = roll.plan.manifests[replica.weights]
    transport = f"transport {replica.transport}, " if replica.transport else ""
    return f"{transport}weights {replica.weights} ({manifest.digest[:12]}) on every Mac, the golden question{speed}"


def _speed(roll: Roll, replica: Replica, kept: Kept) -> Iterator[str]:
    told = forecast(kept, replica.name, roll.plan.manifests[replica.weights].digest, replica.machines)
    if told:
        yield f"   measured of {replica.name}: {told}"


def _pause(turn: Turn, replica: Replica) -> str:
    known = [each.seconds for each in turn.drained if each.seconds is not None]
    most = f"at most {replica.ready_within_seconds} s"
    return f"about {max(known):.0f} s, as last time, {most}" if known else most


def _meanwhile(roll: Roll, turn: Turn) -> str:
    declared = {replica.name: replica for replica in roll.plan.cluster.replicas}
    slots = {name: declared[name].slots for name in turn.remaining if name in declared}
    serving = ", ".join(f"{name} ({slots[name]} slots)" if name in slots else name for name in turn.remaining)
    told = (
        f"meanwhile {serving} serve{'' if len(turn.remaining) > 1 else 's'}" if serving else "nobody serves meanwhile"
    )
    if not turn.held:
        return told
    waits = min((r.wait_seconds for r in roll.plan.cluster.replicas if r.weights in turn.held), default=0)
    what = f"requests for {', '.join(turn.held)}"
    if turn.replica is None or turn.replica.weights not in turn.held:
        return f"{told}; {what} are refused from then on"
    return f"{told}; {what} wait at the gateway, up to {waits} s, and are answered after it"


def _otherwise(turn: Turn) -> str:
    if not turn.drained:
        return "there is nothing proven to go back to; it stays as it is, and what comes after is left alone"
    was = ", ".join(f"{each.name} ({each.releases.get(each.machines[0], '?')})" for each in turn.drained)
    return f"back to {was} by itself, proven again, and what comes after is left alone"


def _moved(roll: Roll) -> list[str]:
    """What it means for clients that the gateway comes to another Mac; nothing where it stays or is new."""
    cluster = roll.plan.cluster
    new = cluster.gateway.machine
    if not roll.doors or new in roll.doors or not roll.published:
        return []
    return [
        f"The gateway moves from {', '.join(roll.doors)} to {new}. The old one ends when the new one answers, and when",
        f"it has answered what it took. Clients have to be told the new address: {base_url(cluster)}/v1",
    ]


def _afterwards(roll: Roll) -> Iterator[str]:
    kept = roll.plan.cluster.releases.kept
    told = "Then the gateway is told, old and new one side by side until the old one has answered what it took."
    yield from _moved(roll) or [told]
    yield f"Nothing of this is final: of each daemon the last {kept} releases stay, to go back to by declaring them."
