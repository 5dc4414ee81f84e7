"""What a deploy tells beside pyinfra's own lines: a table of what was found, and where to go from here."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Sequence
from weakref import WeakSet

import pyinfra
from pyinfra.api.state import State
from pyinfra.context import host
from rich.console import Console
from rich.table import Table

from operations.remote import Commands, current_state, operation

_told: WeakSet[State] = WeakSet()
# Beside pyinfra's log, so that standard output stays JSON with --json.
_console = Console(stderr=True, highlight=False)
# A row per Mac is read across; without a terminal rich would take 80 columns for the width of the world.
_LEAST_WIDTH = 130


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, once in a run: the deploy file is executed once for each host."""
    state = current_state()
    if state in _told:
        return
    _told.add(state)
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        drawn.add_row(*row)
    _console.print()
    _console.width = max(_LEAST_WIDTH, _console.width)
    _console.print(drawn)


@operation
def told(text: str) -> Commands:
    """Text for whoever runs the deploy, at its very end. Changes nothing.

    console.told("The endpoint is http://192.168.1.11:4000/v1.", name="Tell where the endpoint is")
    """
    if current_state().is_executing:
        at_the_end(text)
    host.noop("there is nothing to change in telling")
    yield from ()


def at_the_end(text: str) -> None:
    """Print text when the command is over, below pyinfra's own table: as it is, so that a line can be copied whole."""
    if pyinfra.is_cli:
        atexit.register(_console.print, text, soft_wrap=True, markup=False)
