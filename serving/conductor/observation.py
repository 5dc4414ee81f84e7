"""What the conductor is told, and what it answers: values only."""

from __future__ import annotations

from dataclasses import dataclass

from serving.api import AgentState, StateName
from serving.configuration import Manifest, ReplicaConfiguration
from serving.rank.status import Tick


@dataclass(frozen=True)
class Limits:
    """Seconds that each step may take, and how long ready must last until earlier restarts are forgotten."""

    unanswered: float
    checking: float
    joining: float
    loading: float
    warming: float
    settled: float
    adopting: float = 30
    """How long ranks that serve wait for an agent that does not answer, when the conductor has just begun."""
    noticed: float = 3
    """How long an agent of a ready replica may be silent before that is told."""
    paused: float = 2
    """A longer gap between two rounds was the conductor's own pause, and shows nothing about others."""
    stopped: float = 4
    """How long a process that serves may not move; it beats four times a second."""
    suspended: float = 1
    """The same of one that the kernel holds: it will not go on by itself, but a debugger may stop it for a moment."""
    stopped_loading: float = 60
    """The same while it loads: parts of that keep a process from beating."""
    stalled: float = 4
    """How long the loop of a ready replica may take for one step, unless it reads a prompt and nobody has gone."""
    prefilling: float = 120
    """The same while it reads one, or takes its first steps. A step reads 2048 tokens at most, of all prompts together
    (`serving.rank.portions`), so this is 17 a second."""
    slowing: float = 4
    """So many times what its longest step of reading took it may take as well: the longer a prompt, the slower."""
    pauses: tuple[float, ...] = (0, 1, 4, 15, 60)
    """Before the first restart in a row, the second, and so on; the last goes for all after it."""


def limits(manifest: Manifest) -> Limits:
    """From the size of the weights: what reads them is given the time a slow external disk needs."""
    gigabytes = sum(file.size for file in manifest.files.values()) / 1e9
    return Limits(
        unanswered=8, checking=60 + 10 * gigabytes, joining=60, loading=120 + 20 * gigabytes, warming=300, settled=120
    )


@dataclass(frozen=True)
class Motion:
    """Where the counters of a rank were last, and when each of them last moved."""

    tick: Tick
    stepped: float
    beaten: float
    read: float = 0
    """Seconds of the longest step that was seen to read a part of prompts."""


@dataclass(frozen=True)
class Course:
    """How far a replica has come: all that is remembered from one decision to the next."""

    state: StateName = "absent"
    reason: str = ""
    waiting: str = ""
    """For whom or what, while absent or failed."""
    notice: str = ""
    """What is wrong although the replica goes on."""
    generation: int = 0
    restarts: int = 0
    failures: tuple[str, ...] = ()
    """Why each attempt in a row failed."""
    follows: bool = False
    """The last failure tells only what ranks saw of another's end: the cause may still come to light."""
    joining: bool = False
    beginning: bool = True
    """Nothing has been decided yet: ranks that serve may be there from before."""
    since: float = 0
    """When the present step began."""
    seen: float | None = None
    """When the last decision was made."""
    heard: tuple[float, ...] = ()
    """When each machine last answered, in rank order."""
    motions: tuple[Motion | None, ...] = ()
    """In rank order; None while a rank of this generation has not told."""


@dataclass(frozen=True)
class GoldenResult:
    """What came back for the golden question; `problem` is empty when it was right."""

    generation: int
    problem: str


@dataclass(frozen=True)
class Observation:
    """Everything a decision depends on. `machines` in rank order; None did not answer in time."""

    now: float
    """Seconds on any clock that only goes forward."""
    replica: ReplicaConfiguration
    agreement: str
    limits: Limits
    course: Course
    machines: tuple[AgentState | None, ...]
    golden: GoldenResult | None = None
    afresh: bool = False
    """Somebody asked a broken replica to begin again."""


@dataclass(frozen=True)
class Start:
    """Start the rank of a generation on one machine."""

    rank: int
    generation: int


@dataclass(frozen=True)
class Join:
    """Let a checked rank join the others."""

    rank: int
    generation: int


@dataclass(frozen=True)
class Stop:
    """End whatever rank lives on one machine."""

    rank: int


@dataclass(frozen=True)
class AskGolden:
    """Ask the golden question, unless it is being asked."""

    generation: int


Action = Start | Join | Stop | AskGolden


@dataclass(frozen=True)
class Decision:
    """Where the replica is now, and what to do about it."""

    course: Course
    actions: tuple[Action, ...] = ()
