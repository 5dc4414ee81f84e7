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
_closing: WeakSet[State] = WeakSet()
# Beside pyinfra's log, so that standard output stays JSON with --json.
_console = Console(stderr=True, highlight=False)
# A row per Mac is read across; without a terminal rich would take 80 columns for the width of the world.
_LEAST_WIDTH = 130


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, below: Iterable[str] = ()) -> None:
    """Print a table and lines below it, once in a run: the deploy file is executed once for each host."""
    state = current_state()
    if rehearsal().is_on or state in _told:
        return
    _told.add(state)
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        drawn.add_row(*row)
    _console.print()
    _console.width = max(_LEAST_WIDTH, _console.width)
    _console.print(drawn)
    for line in below:
        _console.print(line, soft_wrap=True, markup=False)


def aside(text: str) -> None:
    """Print a line while pyinfra is at work."""
    _console.print(text, soft_wrap=True, markup=False)


def closing(text: str, *, unless: Callable[[], bool]) -> None:
    """Print text at the very end of a run that came to its end without a failure, and not of one that only planned.

    `unless` is asked then, and says whether something failed that pyinfra does not know of.
    """
    state = current_state()
    if rehearsal().is_on or state in _closing:
        return
    _closing.add(state)

    def print_it() -> None:
        if state.current_stage == StateStage.Disconnect and not state.failed_hosts and not unless():
            _console.print(text, soft_wrap=True, markup=False)

    if pyinfra.is_cli:
        atexit.register(print_it)


def at_the_end(text: str) -> None:
    """Print text when the command is over, below pyinfra's own table: as it is, so that a line can be copied whole."""
    if pyinfra.is_cli:
        atexit.register(_console.print, text, soft_wrap=True, markup=False)
