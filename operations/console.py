"""What a deploy tells beside pyinfra's own lines: a table of what was found, and where to go from here."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakSet

import pyinfra
from pyinfra.api.state import State, StateStage
from rich.console import Console
from rich.table import Table

from operations.rehearsal import rehearsal
from operations.remote import current_state

_told: WeakSet[State] = WeakSet()
_planned: WeakSet[State] = WeakSet()
_closing: WeakSet[State] = WeakSet()
# Beside pyinfra's log, so that standard output stays JSON with --json.
_console = Console(stderr=True, highlight=False)
# A row per Mac is read across; without a terminal rich would take 80 columns for the width of the world.
_LEAST_WIDTH = 130


def wide(console: Console) -> Console:
    """The same console, wide enough for a row per Mac."""
    console.width = max(_LEAST_WIDTH, console.width)
    return console


def drawn(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without lines, to be read across."""
    made = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(*row)
    return made


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, below: Iterable[str] = ()) -> None:
    """Print a table and lines below it, once in a run: the deploy file is executed once for each host."""
    if not _first(_told):
        return
    _console.print()
    wide(_console).print(drawn(columns, rows))
    for line in below:
        _console.print(line, soft_wrap=True, markup=False)


def plan(lines: Iterable[str]) -> None:
    """Print what is about to be done, once in a run."""
    if _first(_planned):
        for line in lines:
            _console.print(line, soft_wrap=True, markup=False)


def aside(text: str) -> None:
    """Print a line while pyinfra is at work."""
    _console.print(text, soft_wrap=True, markup=False)


def closing(text: str, *, unless: Callable[[], bool]) -> None:
    """Print text at the very end of a run that came to its end without a failure, and not of one that only planned.

    `unless` is asked then, and says whether something failed that pyinfra does not know of.
    """
    if not _first(_closing):
        return
    state = current_state()

    def print_it() -> None:
        if state.current_stage == StateStage.Disconnect and not state.failed_hosts and not unless():
            _console.print(text, soft_wrap=True, markup=False)

    if pyinfra.is_cli:
        atexit.register(print_it)


def _first(told: WeakSet[State]) -> bool:
    """Whether this is the first time in a run; a rehearsal tells nothing."""
    state = current_state()
    if rehearsal().is_on or state in told:
        return False
    told.add(state)
    return True


def at_the_end(text: str) -> None:
    """Print text when the command is over, below pyinfra's own table: as it is, so that a line can be copied whole."""
    if pyinfra.is_cli:
        atexit.register(_console.print, text, soft_wrap=True, markup=False)
