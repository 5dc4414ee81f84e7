"""What is wanted of weights, and one way to serve them, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from serving.anatomy.values import Anatomy
from serving.placement.chips import Machine
from serving.placement.memory import Need
from serving.placement.speed import Setting, Sharding, Transport

GB = 1e9


@dataclass(frozen=True)
class Wish:
    """What a replica must be able to do, and how its machines may talk."""

    context: int = 8192
    """The longest prompt and answer together, in tokens."""
    slots: int = 4
    """Requests served at once, by all machines together."""
    transport: Transport | None = None
    """None: RDMA where every chip has Thunderbolt 5, else TCP."""
    fast_synch: bool = False
    cables: frozenset[frozenset[str]] | None = None
    """The pairs of machines that are cabled; None: as many as their ports allow."""


@dataclass(frozen=True)
class Expected:
    """What the model expects. Tokens per second, seconds, and the band it has been seen to hold within."""

    answer: float
    """One conversation alone, with half of the context behind it."""
    answers: float
    """All slots at once, over all copies."""
    prompt: float
    """Tokens per second of a prompt that fills half of the context."""
    first_token: float
    """Seconds until the answer to that prompt begins."""
    band: float
    """A share: 0.1 is ten per cent to either side."""
    rests_on: str


@dataclass(frozen=True)
class Choice:
    """One way to serve weights: how, on which machines, how often, what it takes and what to expect."""

    sharding: Sharding
    machines: tuple[Machine, ...]
    """Those of one copy, in rank order."""
    copies: int
    needs: tuple[Need, ...]
    layers: tuple[int, ...] | None = None
    transport: Transport | None = None
    expected: Expected | None = None
    """None where it is refused."""
    refusals: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refusals

    @property
    def name(self) -> str:
        """What it is called in tables."""
        over = f"{self.sharding} over {len(self.machines)}" if self.sharding != "single" else "one Mac"
        return over if self.copies == 1 else f"{self.copies} copies, each {over if 'over' in over else 'on one Mac'}"


def setting(weights: Anatomy, choice: Choice, *, fast_synch: bool) -> Setting:
    """One copy of a choice, as the model of speed wants it."""
    return Setting(weights, choice.machines, choice.sharding, choice.transport, fast_synch, choice.layers)
