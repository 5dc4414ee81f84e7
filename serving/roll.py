"""What a roll does on each machine: the commands, daemons and records of every turn, as plain data. Pure.

The deploy holds replicas back under its own name and for a short time only: whoever waits on a Mac renews it. So a
replica that a dead deploy left drained serves again by itself, as soon as nobody waits for it any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from serving import daemons, updating
from serving.declared import Replica
from serving.layout import ENVIRONMENTS, HISTORY, PROVEN_PLIST, RELEASES, SERVES, SOFTWARE, WEIGHTS
from serving.looking import doors, records
from serving.plan import Plan, weights_directory
from serving.record import Proven, Record, proven
from serving.release import command
from serving.rolling import Turn, turns

BY = "deploy"
"""Whose drain it is."""
_SETTLING_SECONDS = 120
"""For what is done between two renewals: agents are ended and started, a connection is made anew."""
_UNKNOWN = 10**9
_DAEMON_SECONDS = 180
"""For launchd to load a daemon, beside what its rank may take to end."""


Differing = Callable[[Mapping[str, Any], Mapping[str, Any]], frozenset[str]]
"""The machines on which a daemon is not as wanted, from what was looked at and what is wanted, both by machine."""


def of(planned: Plan, facts: Mapping[str, Mapping[str, Any]], differing: Differing) -> Roll:
    """The roll of a deploy, from what was looked at. Raises RecordUnreadable."""
    changed = differing(facts, planned.agents(facts)) | updating.machines_due(planned.cluster, planned.seen)
    return Roll(planned, records(facts), changed, doors(facts))


@dataclass(frozen=True)
class Roll:
    """The turns of one deploy."""

    plan: Plan
    records: Mapping[str, Record | None]
    changed: frozenset[str]
    """The machines whose agent or macOS is not as declared."""
    doors: tuple[str, ...] = ()
    """Those on which a gateway is."""

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """All replicas, in order."""
        return turns(self.plan.cluster, self.before, self.changed)

    @property
    def taken(self) -> tuple[Turn, ...]:
        """Those that this deploy takes: none while nobody knows yet what quantising makes of weights."""
        return () if self.plan.pending else self.turns

    @property
    def published(self) -> list[str]:
        """The replicas that the gateway is told of, as far as they answer."""
        return [] if self.plan.pending else [each.name for each in self.plan.cluster.replicas]

    @property
    def before(self) -> tuple[Proven, ...]:
        """What was proven last."""
        return proven(self.records)

    @property
    def record(self) -> dict[str, str]:
        """Where a machine's record is, its history and the plist to go back to, and whose plist that is."""
        return {"record": SERVES, "history": HISTORY, "plist": PROVEN_PLIST, "label": daemons.AGENT}

    def steps(self, turn: Turn, machine: str) -> dict[str, dict[str, Any]]:
        """The arguments of every step of a turn but another macOS, as one machine takes part in it."""
        return {**self._steps[turn.name], "agents": self.agents(turn, machine)}

    @cached_property
    def _steps(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By turn what is the same for all machines, which is most of it; a deploy asks for each of them."""
        return {
            turn.name: {
                "drain": self.drain(turn),
                "ready": self.proof(turn),
                "fast": self.speed(turn),
                "back": self.back(turn),
                "back_proven": self.back_proof(turn),
                "recorded": self.recorded(turn),
                "readmit": self.readmission(turn),
            }
            for turn in self.turns
        }

    def drain(self, turn: Turn) -> dict[str, Any]:
        """How what changes in a turn is taken out of service."""
        firsts = {each.machines[0] for each in turn.drained} | set(() if turn.replica is None else turn.machines[:1])
        seconds = self.plan.cluster.rolling.drain_seconds
        return {
            "on": {name: self._draining(name, turn, seconds) for name in sorted(firsts) if self._is_declared(name)},
            "changes": turn.changes,
            "within_seconds": seconds,
            "waits": not self.goes_on(turn),
        }

    def goes_on(self, turn: Turn) -> bool:
        """Whether answers that are under way when a turn begins go on after it, word for word.

        Then nobody waits for their end first: where no other replica serves the weights, it would only be a longer
        pause for whoever comes meanwhile. What the answers were begun with has to be there again, and room for them.
        """
        new = turn.replica
        if new is None or not turn.held:
            return False
        directory = weights_directory(new.weights, self.plan.manifests[new.weights])
        return all(
            (old.first, old.weights, old.weights_directory) == (new.machines[0], new.weights, directory)
            and (old.context_tokens or _UNKNOWN) <= new.context_tokens
            for old in turn.drained
        )

    def works_until_restart(self, turn: Turn) -> bool:
        """Whether what serves takes requests until its agent ends: nothing is waited for before, nor measured."""
        return self.goes_on(turn) and self._has_speed(turn.machines[0], turn)

    def agents(self, turn: Turn, machine: str) -> dict[str, Any]:
        """Who changes its agent in a turn, and to what."""
        return {
            "members": turn.machines,
            "arguments": self.plan.agent_daemon(machine),
            "within_seconds": self._loading_seconds(turn),
        }

    def proof(self, turn: Turn) -> dict[str, Any]:
        """Where and how to ask whether the replica of a turn is ready, and how long that may take."""
        if turn.replica is None:
            return {"on": None, "command": (), "release": "", "within_seconds": 0, "holding": [], "until_speed": None}
        asked = self.plan.proof(turn.replica)
        holding = ["--held-by", BY, "--for", str(self._lease(turn))] if turn.changes else []
        return {**asked, "holding": holding, "until_speed": self._enough(turn) if turn.changes else None}

    def speed(self, turn: Turn) -> dict[str, Any]:
        """Where and how to measure how fast it is, and what it must not fall below."""
        if turn.replica is None:
            return {"on": None, "command": (), "least": None, "before": None}
        first = turn.replica.machines[0]
        record = self.records.get(first)
        return {
            "on": first,
            "command": self._command(first, "speed"),
            "least": self.plan.cluster.rolling.least_speed,
            "before": None if record is None or record.speed is None else dict(record.speed),
        }

    def back(self, turn: Turn) -> dict[str, Any]:
        """Which machines go back when the replica of a turn is not proven."""
        known = {name: self.records.get(name) for name in turn.machines}
        told = ("replica", "release", "weights", "weights_directory", "environments")
        return {
            "members": turn.machines,
            "before": {n: record.model_dump(mode="json", include={*told}) for n, record in known.items() if record},
            "within_seconds": self._loading_seconds(turn),
        }

    def back_proof(self, turn: Turn) -> dict[str, Any]:
        """How to ask whether what they went back to is ready."""
        there = [each for each in turn.drained if each.machines[0] in each.releases]
        return {"on": {each.machines[0]: self._going_back(each, turn) for each in there}}

    def recorded(self, turn: Turn) -> dict[str, Any]:
        """What is written down of each machine of a turn; None of those that serve nothing any more."""
        return {"records": {name: self._record(name, turn.replica) for name in turn.machines}}

    def readmission(self, turn: Turn) -> dict[str, Any]:
        """Where and how the replica of a turn is put into service."""
        if turn.replica is None:
            return {"on": None, "command": ()}
        first = turn.replica.machines[0]
        return {"on": first, "command": self._command(first, "readmit", "--by", BY)}

    def kept(self, machine: str) -> dict[str, Any]:
        """What a machine keeps of what was before, and what it has in use."""
        plan = self.plan
        doors = [plan.gateway([each.name for each in plan.cluster.replicas])] if plan.is_door(machine) else []
        record = self.records.get(machine)
        return {
            "root": RELEASES,
            "number": plan.cluster.releases.kept,
            "present": {release.name for release in [*plan.releases(machine), *doors]},
            "linked": [ENVIRONMENTS, SOFTWARE],
            "weights": {
                *plan.weights(machine),
                *(() if record is None else [record.weights_directory]),
            },
            "weights_root": WEIGHTS,
            "history": HISTORY,
        }

    def is_free(self, machine: str) -> bool:
        """Whether a machine serves nothing and is to serve nothing, so that its agent may change at any time."""
        return not any(machine in turn.machines for turn in self.turns)

    def early_daemons(self, machine: str) -> list[dict[str, Any]]:
        """The daemons whose loading disturbs nobody."""
        early = self.plan.daemons(machine)
        return early if self.is_free(machine) else [each for each in early if each["label"] != daemons.AGENT]

    def _has_speed(self, machine: str, turn: Turn) -> bool:
        """Whether the speed that was written down will do, since clients wait for every second of a measurement."""
        record = self.records.get(machine)
        return bool(turn.held) and record is not None and record.speed is not None

    def _enough(self, turn: Turn) -> float | None:
        """Tokens per second with which a replica is let go at once, where clients wait for it; None: they do not."""
        first = turn.machines[0]
        record = self.records.get(first)
        if not self._has_speed(first, turn) or record is None or record.speed is None:
            return None
        least = (self.plan.cluster.rolling.least_speed or 0) * record.speed["tokens_per_second"]
        # Never below the share by rounding: what is enough here must be enough where the two are compared.
        return max(math.ceil(100 * least) / 100, 0.01)

    def _draining(self, machine: str, turn: Turn, seconds: int) -> dict[str, Any]:
        lease = str(self._lease(turn))
        order = ["--by", BY, "--for", lease]
        works = self.works_until_restart(turn)
        return {
            "state": self._command(machine, "status"),
            "order": self._command(machine, "drain", *order, *(["--from-restart"] if works else [])),
            "works_until_restart": works,
            "wait": self._command(machine, "drain", *order, "--wait", str(seconds)),
            "speed": None if self._has_speed(machine, turn) else self._command(machine, "speed"),
        }

    def _going_back(self, old: Proven, turn: Turn) -> dict[str, Any]:
        first, within = old.machines[0], self._ready_seconds(turn)
        status = command(f"{RELEASES}/{old.releases[first]}", "serving.agent.status", "agent.json")
        lease = ["--held-by", BY, "--for", str(self._lease(turn))]
        return {
            "replica": old.name,
            "release": old.releases[first],
            "wait": [*status, "--wait", str(within), *lease],
            "readmit": self._command(first, "readmit", "--by", BY),
            "within_seconds": within,
        }

    def _record(self, machine: str, replica: Replica | None) -> dict[str, Any] | None:
        if replica is None or machine not in replica.machines:
            return None
        release = self.plan.agent(machine)
        manifest = self.plan.manifests[replica.weights]
        return Record(
            replica=replica.name,
            machines=replica.machines,
            weights=replica.weights,
            weights_directory=weights_directory(replica.weights, manifest),
            release=release.name,
            environments=tuple(release.links.values()),
            context_tokens=replica.context_tokens,
        ).model_dump(mode="json", exclude={"since", "seconds", "speed"})

    def _command(self, machine: str, module: str, *words: str) -> list[str]:
        return [*self.plan.agent(machine).command(f"serving.agent.{module}", "agent.json"), *words]

    def _lease(self, turn: Turn) -> int:
        return self._loading_seconds(turn) + self._updating_seconds(turn) + _SETTLING_SECONDS

    def _loading_seconds(self, turn: Turn) -> int:
        # Those before may have been given more time to end than those to come; nobody knows any more.
        grace = max((each.grace_seconds for each in self.plan.cluster.replicas), default=60)
        return _DAEMON_SECONDS + (grace if turn.changes else 0)

    def _updating_seconds(self, turn: Turn) -> int:
        """What another macOS may take: nobody renews a drain while its Mac restarts."""
        update = self.plan.cluster.macos.update if self.plan.cluster.macos else None
        due = updating.machines_due(self.plan.cluster, self.plan.seen) & set(turn.machines)
        if update is None or not due:
            return 0
        return update.install_within_seconds + update.restart_within_seconds + update.mended_within_seconds

    def _ready_seconds(self, turn: Turn) -> int:
        return 600 if turn.replica is None else turn.replica.ready_within_seconds

    def _is_declared(self, machine: str) -> bool:
        return any(each.name == machine for each in self.plan.cluster.machines)
