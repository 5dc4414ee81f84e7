"""The contract between agents, the status command and the gateway's machine: JSON over HTTP, with the cluster token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints

from serving.configuration import ReplicaConfiguration
from serving.declared import Declared
from serving.rank.status import RankStatus, Tick

StateName = Literal["absent", "forming", "loading", "warming", "ready", "draining", "failed", "broken"]
Pressure = Literal["normal", "warning", "critical"]

Owner = Annotated[str, StringConstraints(pattern=r"^[\w.@:-]{1,64}$")]
"""Whose drain it is."""

GENERATION_HEADER: Final = "x-cidermill-generation"
"""Of every answer to GET /ready: which start of the ranks it speaks of. What an earlier one had read is gone."""


WEIGHTS_HEADER: Final = "x-cidermill-weights"
"""Of every answer to GET /ready: which bytes it speaks of. An answer that others began is not for it to go on with."""


class _Told(Declared):
    # While a release is rolled out its agents hear those of the one before: what a reader does not know it passes over.
    model_config = ConfigDict(extra="ignore")


class RankReport(_Told):
    """What an agent knows of the last rank process on its machine."""

    generation: int | None
    living: bool
    status: RankStatus | None = None
    tick: Tick | None = None
    agreement: str | None = None
    """Of the configuration it was started with, which may be older than its agent's; None when nobody knows."""
    memory_bytes: int | None = None
    """What it holds, or held when it was last looked at; on macOS its footprint, Metal's buffers included."""
    exit_code: int | None = None
    """As Python has it: negative for a signal. None while living, or when another agent process started it."""
    suspended: bool = False
    """It lives, but a signal or a debugger stopped it, and the kernel lets it run no further until it is told to."""
    killed: bool = False
    """It did not end within the grace after SIGTERM, so it got SIGKILL; wired memory may be lost until a reboot."""
    last_words: str = ""
    """The end of what it wrote, once it is gone."""


class DomainsReport(_Told):
    """RDMA protection domains of one machine since its boot, counted for each device alike."""

    limit: int
    spent: int
    """By ranks that were let in."""
    unclean: tuple[int, ...] = ()
    """Generations whose rank did not end cleanly; what they had may be lost until a reboot."""
    left: int


class ReplicaState(_Told):
    """A replica as its conductor has it."""

    name: str
    state: StateName
    reason: str
    """Why it is not ready, or was not before this attempt; and for what it waits."""
    notice: str = ""
    """What somebody should look at although the replica goes on."""
    since: str = ""
    """When it came into this state (UTC)."""
    generation: int
    restarts: int
    """How many were used in a row."""
    drained_by: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Who holds it back, ready or not."""
    ranks: Mapping[str, RankReport | None]
    """What each machine's agent said of its rank in the last round; None when it did not answer."""


class EndpointReport(_Told):
    """An endpoint at a moment."""

    in_flight: int
    """Requests with a slot, those that are held included."""
    queued: int
    held: int
    """Requests with a slot that wait for the replica to be ready."""
    requests: Mapping[str, int]
    """By outcome."""
    prompt_tokens: int
    cached_tokens: int = 0
    """Of these, those that mlx-lm had read for an earlier request."""
    completion_tokens: int
    replayed: int
    """Attempts after a failure, of answers that had not begun."""
    continued: int
    """Attempts after a failure, of answers that had."""


class AgentState(_Told):
    """What one agent says: GET /state."""

    machine: str
    boot: str
    release: str
    agreement: str | None = None
    """Digest of the replica's configuration without the rank, and of the software; one generation must share it."""
    unable: str = ""
    """Why a rank cannot be started here at the moment; empty when it can."""
    unable_to_join: str = ""
    """Why a rank here could not join the others at the moment; empty when it could."""
    pressure: Pressure | None = None
    """Of memory, as the kernel has it; None when this machine cannot tell."""
    domains: DomainsReport | None = None
    """None unless the transport needs them."""
    rank: RankReport | None = None
    replica: ReplicaState | None = None
    endpoint: EndpointReport | None = None
    """Both on rank 0's machine."""


class Order(Declared):
    """The body of DELETE /rank; an agent obeys the conductor of its own configuration alone."""

    agreement: str
    """The sender's."""


class DrainOrder(Declared):
    """The body of PUT /replica/drain: the replica takes nothing new, until this has run out or is lifted.

    Ordered again by the same name, it is renewed.
    """

    by: Owner
    seconds: Annotated[float, Field(ge=1, le=86_400)]
    from_restart: bool = False
    """It takes requests until its agent ends, and the next agent holds it back."""


class Readmission(Declared):
    """The body of DELETE /replica/drain."""

    by: Owner | None
    """Whose drain ends; None ends everybody's."""


class SpeedOrder(Declared):
    """The body of POST /replica/speed."""

    enough: Annotated[float, Field(gt=0)] | None = None
    """Tokens per second that will do: it need not be told how much faster the replica is."""


class RankOrder(Order):
    """The body of POST /rank and POST /rank/join."""

    generation: int


def agreement(replica: ReplicaConfiguration, software: str = "") -> str:
    """What all machines of a replica must have the same, as one digest."""
    shared = replica.model_dump(mode="json", exclude={"rank"})
    return hashlib.sha256(json.dumps([shared, software], sort_keys=True).encode()).hexdigest()
