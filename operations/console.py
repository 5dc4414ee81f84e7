"""What a deploy tells beside pyinfra's own lines: a table of what was found, and where to go from here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from weakref import WeakSet

from pyinfra.api.state import State
from rich.console import Console
from rich.table import Table

from operations.remote import current_state

_told: WeakSet[State] = WeakSet()
# Beside pyinfra's log, so that standard output stays JSON with --json.
_console = Console(stderr=True, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, once in a run: the deploy file is executed once for each host."""
    state = current_state()
    if state in _told:
        return
    _told.add(state)
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*row)
    _console.print()
    _console.print(drawn)


def lines(text: str) -> None:
    """Print text as it is, so that a line in it can be copied whole."""
    _console.print(text, soft_wrap=True, markup=False)
