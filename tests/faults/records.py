"""What is written down while a fault is in: every request as its client saw it, every look at a replica.

Values only. All times are seconds on one clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Literal

Door = Literal["gateway", "endpoint"]
Cold = Literal["agents", "Macs"]
"""Of a cold start: all agents of the replica start, or its Macs do."""

Ending = Literal["answered", "altered", "refused", "broken off", "disconnected", "overdue", "left"]
"""`refused` and `broken off` are told in words, before the first piece or after it; `disconnected` is the client's own
connection that ended, or was never made; `overdue` is a client that gave up at its deadline;
`left` is one that went before the end, as it meant to.
"""


@dataclass
class Heard:
    """What a client heard of one answer."""

    status: int | None = None
    text: str = ""
    error: str = ""
    finished: bool = False
    """The stream told that it was whole."""
    disconnected: bool = False
    gave_up: bool = False
    left: bool = False


@dataclass(frozen=True)
class Request:
    """One request, from when it was sent until its client knew its end."""

    door: Door
    began: float
    ended: float
    ending: Ending
    pieces: tuple[float, ...] = ()
    """When each piece of the answer's text came."""
    said: str = ""
    """What went wrong, in the words of whoever said it."""

    @property
    def waits(self) -> list[tuple[float, float]]:
        """Every stretch of time in which nothing came, the first from when it was sent."""
        times = (self.began, *self.pieces, self.ended)
        return list(pairwise(times))


@dataclass(frozen=True)
class Look:
    """Whether something called itself ready: /ready of a replica, or a gateway's own word for it."""

    asked: float
    told: float
    answer: Literal["yes", "no", "silence"]


@dataclass(frozen=True)
class Word:
    """A state of a replica, from the moment it was first seen."""

    at: float
    state: str
    reason: str
    since: float = inf
    """When another was last seen: it may have begun right after. Never, for the first."""

    def is_in(self, moment: float) -> bool:
        """Whether it may have begun by then."""
        return min(self.at, self.since) <= moment


@dataclass(frozen=True)
class Trial:
    """One fault, put in once."""

    fault: str
    replica: str
    machine: str
    struck: float
    mended: float | None
    """When a person's part was done, where the fault needs one: a cable put back, a Mac that has started."""
    deadline: float
    """How long a client waits for its answer."""
    closes: frozenset[Door]
    """Where the fault ends the process, or the machine, that a client is connected to."""
    requests: tuple[Request, ...]
    probes: tuple[Request, ...]
    """Tiny requests, one after another, directly at the replica's endpoint."""
    readies: tuple[Look, ...]
    """/ready of the replica."""
    looks: tuple[Look, ...]
    """At what the fault is about: the same, or the gateway's."""
    words: tuple[Word, ...]
    cold_start: float | None
    cold: Cold
    is_bounded: bool = True
    """Whether its way back is the replica's own doing, so that it may take so long and no longer."""
    breaks: bool = False
    """Whether the replica had to ask for a person."""


def ending(heard: Heard, needed: str) -> Ending:
    """How a request ended. Text that does not lead to the needed answer is altered, however the stream ended."""
    text = heard.text.strip()
    if not needed.startswith(text):
        return "altered"
    if heard.left:
        return "left"
    if heard.gave_up:
        return "overdue"
    if heard.disconnected:
        return "disconnected"
    if heard.error or heard.status != 200:
        return "broken off" if text else "refused"
    if not heard.finished:
        return "broken off"
    return "answered" if text == needed else "altered"
