"""What is wanted of weights, and one way to serve them, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from serving.anatomy.values import Anatomy
from serving.placement.chips import Chip, Machine
from serving.placement.constants import FITTED, Constants
from serving.placement.memory import Need
from serving.placement.speed import Setting, Sharding, Transport

GB = 1e9


@dataclass(frozen=True)
class Here:
    """What a lab has measured of weights like these, in place of what was published."""

    constants: Constants
    """For what is split like what was measured."""
    sharding: Sharding
    ranks: int
    transport: Transport | None
    chips: frozenset[Chip]
    """Nothing is known of others."""
    day: str
    band: float
    """How far rounds lay from each other, as a share."""

    def of(self, choice: Choice) -> Constants:
        """The constants for one way to serve: where machines talk otherwise, only what each does by itself."""
        if not self._knows(choice):
            return FITTED
        talks = choice.transport is None or (choice.transport, len(choice.machines)) == (self.transport, self.ranks)
        return self.constants if talks else replace(self.constants, latency_factor=1.0, transfer_factor=1.0)

    def rests_on(self, choice: Choice) -> str:
        """In words; "" where nothing of this was measured."""
        if self.is_the_same(choice):
            return f"measured here on {self.day}"
        how = "one Mac" if self.sharding == "single" else f"{self.sharding} over {self.ranks}"
        return f"measured here on {self.day}, by {how}" if self._knows(choice) else ""

    def is_the_same(self, choice: Choice) -> bool:
        """Whether this very way to serve was measured."""
        how = (choice.sharding, len(choice.machines), choice.transport)
        return self._knows(choice) and how == (self.sharding, self.ranks, self.transport)

    def _knows(self, choice: Choice) -> bool:
        return {machine.chip for machine in choice.machines} <= self.chips


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
    here: Here | None = None
    """What was measured on machines like these; None where nothing was."""


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


def setting(weights: Anatomy, choice: Choice, wish: Wish) -> Setting:
    """One copy of a choice, as the model of speed wants it."""
    constants = FITTED if wish.here is None else wish.here.of(choice)
    fast_synch = wish.fast_synch
    return Setting(weights, choice.machines, choice.sharding, choice.transport, fast_synch, choice.layers, constants)
