"""In which order replicas are changed, what their Macs go through, and who serves meanwhile. Pure.

What serves is known from the Macs' own records, what is to be from the declaration. A replica is one that stays as it
is when none of its agents changes; all others are changed in turns. A turn drains every proven replica that has a Mac
in common with the one it makes: ranks never serve without the others. Those that stay are seen ready before anything is
taken down, and of those that change the one comes next that leaves most in service, weights by weights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from serving.cluster import Cluster
from serving.declared import Replica
from serving.record import Proven


@dataclass(frozen=True)
class Serving:
    """A replica in service, as it was or as it will be."""

    name: str
    machines: tuple[str, ...]
    weights: str


@dataclass(frozen=True)
class Turn:
    """What is done to the Macs of one replica, all together."""

    name: str
    replica: Replica | None
    """As it will be; None when it ends."""
    drained: tuple[Proven, ...]
    """Those that end or change with it."""
    machines: tuple[str, ...]
    """Whose agents are changed, rank 0 first, and then those that belong to no replica any more."""
    remaining: tuple[str, ...]
    """Who serves meanwhile."""
    held: tuple[str, ...]
    """Weights that nobody serves meanwhile: requests for them wait."""
    changes: bool

    @property
    def let_go(self) -> tuple[str, ...]:
        """Machines that leave their replica and come to no other."""
        kept = () if self.replica is None else self.replica.machines
        return tuple(name for name in self.machines if name not in kept)


def turns(cluster: Cluster, old: Sequence[Proven], changed: Collection[str]) -> tuple[Turn, ...]:
    """All replicas in the order in which they are seen to; `changed` are machines whose agent is not as declared."""
    staying = [each for each in cluster.replicas if not set(each.machines) & set(changed)]
    moving = [each for each in cluster.replicas if each not in staying]
    kept = {frozenset(each.machines) for each in staying}
    old = tuple(each for each in old if frozenset(each.machines) not in kept)
    serving = (*map(_as_declared, staying), *(Serving(each.name, each.machines, each.weights) for each in old))
    first = tuple(Turn(each.name, each, (), each.machines, (), (), changes=False) for each in staying)
    return (*first, *_in_turn(cluster, moving, old, serving))


def _in_turn(
    cluster: Cluster, moving: Sequence[Replica], old: tuple[Proven, ...], serving: tuple[Serving, ...]
) -> tuple[Turn, ...]:
    """The turns of those that change, and then of those that end and have no Mac in common with any."""
    left: list[Replica] = [*moving]
    done: list[Turn] = []
    while left:
        turn = min((_turn(cluster, each, old, serving) for each in left), key=_loss)
        left = [each for each in left if each is not turn.replica]
        serving, old = _after(turn, serving, old)
        done.append(turn)
    for each in old:
        turn = _ending(cluster, each, serving)
        serving, old = _after(turn, serving, old)
        done.append(turn)
    return tuple(done)


def _turn(cluster: Cluster, replica: Replica, old: Sequence[Proven], serving: Sequence[Serving]) -> Turn:
    drained = tuple(each for each in old if set(each.machines) & set(replica.machines))
    leaving = tuple(name for each in drained for name in each.machines if name not in replica.machines)
    let_go = tuple(name for name in leaving if cluster.replica_of(name) is None and _is_declared(cluster, name))
    remaining, held = _meanwhile(drained, serving)
    return Turn(replica.name, replica, drained, (*replica.machines, *let_go), remaining, held, changes=True)


def _ending(cluster: Cluster, old: Proven, serving: Sequence[Serving]) -> Turn:
    remaining, held = _meanwhile((old,), serving)
    machines = tuple(name for name in old.machines if _is_declared(cluster, name))
    return Turn(old.name, None, (old,), machines, remaining, held, changes=True)


def _meanwhile(drained: Sequence[Proven], serving: Sequence[Serving]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who serves without these, and which weights nobody does."""
    away = {each.machines for each in drained}
    remaining = [each for each in serving if each.machines not in away]
    weights = {each.weights for each in drained} - {each.weights for each in remaining}
    return tuple(each.name for each in remaining), tuple(sorted(weights))


def _after(
    turn: Turn, serving: Sequence[Serving], old: Sequence[Proven]
) -> tuple[tuple[Serving, ...], tuple[Proven, ...]]:
    away = {each.machines for each in turn.drained}
    left = [each for each in serving if each.machines not in away]
    made = [] if turn.replica is None else [_as_declared(turn.replica)]
    return (*left, *made), tuple(each for each in old if each.machines not in away)


def _loss(turn: Turn) -> tuple[int, int]:
    """How much is missing while it goes on; of equals the one that was declared first comes first."""
    return len(turn.held), -len(turn.remaining)


def _as_declared(replica: Replica) -> Serving:
    return Serving(replica.name, replica.machines, replica.weights)


def _is_declared(cluster: Cluster, name: str) -> bool:
    return any(machine.name == name for machine in cluster.machines)
