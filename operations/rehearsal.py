"""A rehearsal: the deploy file run for every machine without registering or changing anything.

Each operation runs up to its first command and tells how the machine differs from what is declared. A rehearsal without
a difference means that there is nothing to do: then none of the operations is registered with pyinfra at all, whose
price for each on each host is what makes a run over many machines that changes nothing slow. Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

from pyinfra.api.exceptions import FactProcessError, OperationError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host, ctx_state

Fact = tuple[type[FactBase[Any]], Mapping[str, Any]]
"""A kind of fact and its arguments."""


@dataclass(frozen=True)
class Difference:
    """How one machine differs from what is declared, and which operation would put it right.

    `refused` is why that operation would not, when it would refuse.
    """

    host: str
    operation: str
    check: str
    seen: str
    needed: str
    refused: str = ""


@dataclass
class Rehearsal:
    """What has been learnt in this run."""

    is_done: bool = False
    is_settled: bool = False
    """Whether the rehearsal found nothing to do on any machine."""
    differences: list[Difference] = field(default_factory=list[Difference])
    answers: dict[tuple[Host, Hashable], Any] = field(default_factory=dict[tuple[Host, Hashable], Any])
    """What facts said before the rehearsal; valid because nothing has been changed since."""
    _operations: dict[Host, str] = field(default_factory=dict[Host, str])

    @property
    def is_on(self) -> bool:
        """Whether whoever asks is rehearsing; meanwhile the deploy file itself is on its way in other greenlets."""
        return _here.get()

    @contextmanager
    def on(self) -> Generator[None, None, None]:
        """Within it, and in this greenlet alone, operations are rehearsed."""
        token = _here.set(True)
        try:
            yield
        finally:
            _here.reset(token)

    def begin(self, operation: str) -> None:
        """From now on, what is told of the current host is told of this operation."""
        self._operations[_host()] = operation

    def differs(self, check: str, *, seen: str, needed: str, refused: str = "") -> None:
        """Write down a difference of the current host."""
        host = _host()
        self.differences.append(Difference(host.name, self._operations[host], check, seen, needed, refused))

    def remember(self, host: Host, fact: Fact, answer: Any) -> None:
        """Keep what a fact said, or the FactProcessError it raised, for operations that will ask the same."""
        self.answers[host, _question(*fact)] = answer

    def recall(self, host: Host, fact: type[FactBase[Any]], arguments: Mapping[str, Any]) -> tuple[bool, Any]:
        """Whether the fact's answer is known, and the answer. Raises OperationError for one that could not be read."""
        known = self.answers.get((host, _question(fact, arguments)), _UNKNOWN)
        if isinstance(known, FactProcessError):
            raise OperationError(str(known))
        return known is not _UNKNOWN, known

    def told(self) -> int:
        """How many differences of the current host have been written down."""
        return sum(difference.host == _host().name for difference in self.differences)


_UNKNOWN = object()
_here: ContextVar[bool] = ContextVar("rehearsing", default=False)
_rehearsals: WeakKeyDictionary[State, Rehearsal] = WeakKeyDictionary()


def rehearsal() -> Rehearsal:
    """The rehearsal of this run."""
    return _rehearsals.setdefault(cast("State", ctx_state.get()), Rehearsal())


def rehearsed(operation: str, commands: Generator[Any, None, None]) -> None:
    """Run an operation up to its first command, and write down what it would change; a refusal is a difference too."""
    now = rehearsal()
    now.begin(operation)
    before = now.told()
    try:
        if next(commands, None) is not None and now.told() == before:
            now.differs(operation, seen="not as declared", needed="as declared")
    except OperationError as error:
        now.differs(operation, seen="", needed="", refused=str(error))


def differs(check: str, *, seen: str, needed: str) -> None:
    """Tell, from within an operation and before its first command, what it is about to put right and why."""
    if rehearsal().is_on:
        rehearsal().differs(check, seen=seen, needed=needed)


def _host() -> Host:
    return cast("Host", ctx_host.get())


def _question(fact: type[FactBase[Any]], arguments: Mapping[str, Any]) -> Hashable:
    return fact, tuple(sorted((name, _frozen(value)) for name, value in arguments.items()))


def _frozen(value: Any) -> Hashable:
    return tuple(cast("list[Hashable]", value)) if isinstance(value, list) else value
