"""The contract between agents, the status command and the gateway's machine: JSON over HTTP, with the cluster token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared
from serving.rank.status import RankStatus, Tick

StateName = Literal["absent", "forming", "loading", "warming", "ready", "draining", "failed", "broken"]


class RankReport(Declared):
    """What an agent knows of the last rank process on its machine."""

    generation: int | None
    living: bool
    status: RankStatus | None = None
    tick: Tick | None = None
    exit_code: int | None = None
    """As Python has it: negative for a signal. None while living, or when another agent process started it."""
    killed: bool = False
    """It did not end within the grace after SIGTERM, so it got SIGKILL; wired memory may be lost until a reboot."""
    last_words: str = ""
    """The end of what it wrote, once it is gone."""


class ReplicaState(Declared):
    """A replica as its conductor has it."""

    name: str
    state: StateName
    reason: str
    generation: int
    restarts: int
    """How many were used in a row."""
    ranks: Mapping[str, RankReport | None]
    """What each machine's agent said of its rank in the last round; None when it did not answer."""


class AgentState(Declared):
    """What one agent says: GET /state."""

    machine: str
    boot: str
    release: str
    agreement: str | None = None
    """Digest of the replica's configuration without the rank; ranks of one generation must share it."""
    unable: str = ""
    """Why a rank cannot be started here at the moment; empty when it can."""
    rank: RankReport | None = None
    replica: ReplicaState | None = None
    """On rank 0's machine."""


class Generation(Declared):
    """The body of POST /rank and POST /rank/join."""

    generation: int


def agreement(replica: ReplicaConfiguration) -> str:
    """What all machines of a replica must have the same, as one digest."""
    shared = replica.model_dump(mode="json", exclude={"rank"})
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
