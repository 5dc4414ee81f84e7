"""What was measured, with everything it may depend on: one file for each bench, kept on the control machine.

A contract: what is written today is read by later versions, and refused by name where `version` is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from serving.declared import Declared
from serving.rank.status import Collective

VERSION = 1
T = TypeVar("T")
Many = Annotated[tuple[T, ...], Field(strict=False)]


class Figure(Declared):
    """A median, and half of what lay between the least and the most of its rounds, as a share of it."""

    median: float
    spread: float


class Expected(Declared):
    """What the model of placement expected of a point."""

    tokens_per_second: float
    first_token_seconds: float
    rests_on: str


class Measured(Declared):
    """One point: prompts of `prompt_tokens`, `sequences` of them at the same time."""

    wanted_tokens: int
    """By which the same point is found in another receipt."""
    sequences: int
    prompt_tokens: int
    answer_tokens: int
    rounds: int
    others: int = 0
    """Requests of others meanwhile."""
    tokens_per_second: Figure | None
    """Of all answers together; None when they were too short."""
    first_token_seconds: Figure
    prompt_tokens_per_second: Figure
    expected: Expected | None = None
    """None where the model has nothing to say; the replica's notes tell why."""


class MeasuredMachine(Declared):
    """A Mac as it was read."""

    name: str
    chip: str
    memory_gb: int
    macos: str
    build: str


class MeasuredCable(Declared):
    """A cable between two machines of a replica; speed as macOS words it, None where it did not say."""

    between: Annotated[tuple[str, str], Field(strict=False)]
    speed: str | None


class MeasuredReplica(Declared):
    """One replica."""

    name: str
    machines: Many[MeasuredMachine]
    """In rank order."""
    cables: Many[MeasuredCable]
    transport: str | None
    sharding: str | None
    layers: Many[int] | None = None
    context_tokens: int
    slots: int
    weights: str
    kind: str | None
    """The module of mlx-lm that runs them, and their bits; None where it could not be told."""
    digest: str
    """Of the manifest that every rank compared its files with."""
    release: str
    mlx: str
    mlx_lm: str
    collective: Collective | None
    """As rank 0 saw it when the ranks met; None for one machine."""
    points: Many[Measured]
    notes: Many[str] = ()

    @property
    def how(self) -> str:
        """How it is split, in words."""
        if self.sharding is None:
            return "one Mac"
        return f"{self.sharding} over {len(self.machines)}, {self.transport}"

    @property
    def software(self) -> tuple[str, str]:
        """MLX and mlx-lm."""
        return self.mlx, self.mlx_lm

    @property
    def builds(self) -> tuple[str, ...]:
        """Of macOS, in rank order."""
        return tuple(machine.build for machine in self.machines)


class Receipt(Declared):
    """All of one bench."""

    version: Literal[1] = VERSION
    lab: str
    at: str
    """When it began (UTC)."""
    cidermill: str
    """Our version."""
    replicas: Many[MeasuredReplica]
    not_measured: Mapping[str, str]
    """Replicas by name, and why."""

    @property
    def day(self) -> str:
        """For tables."""
        return self.at[:10]
