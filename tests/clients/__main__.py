"""Real clients against a gateway, and a table of what became of them.

    uv run --all-groups python -m tests.clients [NAME...]

Without CIDERMILL_URL, CIDERMILL_KEY and CIDERMILL_NAME in the environment it starts a gateway with one real rank of the
test weights on loopback. Claude Code, Codex and OpenCode are installed from npm first (1.1 GB, once), aider and Open
WebUI by uvx. It ends with 1 when a client's trial was not as it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.clients.door import Door, Wrong, given
from tests.clients.running import gateway
from tests.clients.trial import CLIENTS, Trial, tried

_console = Console(highlight=False, soft_wrap=True)
_console.width = max(170, _console.width)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.clients", description="Real clients against a gateway.")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(CLIENTS)} (default: all but open-webui)")
    given_names = parser.parse_args(arguments).name
    unknown = [name for name in given_names if name not in CLIENTS]
    if unknown:
        parser.error(f"there is no client {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    names = given_names or [name for name, client in CLIENTS.items() if client.usual]
    try:
        for name in names:
            CLIENTS[name].fetch()
        with _door() as door:
            trials = [_reported(tried(name, door)) for name in names]
    except Wrong as reason:
        _console.print(f"{reason}", style="red")
        return 1
    _console.print(table(trials))
    return 1 if any(trial.faults for trial in trials) else 0


def table(trials: Sequence[Trial]) -> Table:
    """The trials, as they are printed."""
    heads = ("client", "version", "conversation", "tool round trip", "streamed", "what it sent")
    drawn = Table(*heads, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for trial in trials:
        drawn.add_row(
            trial.name,
            trial.client.version(),
            _word(trial.conversed),
            _word(trial.round_trip) if trial.client.calls_tools else "has none",
            _word(trial.streamed),
            trial.sent,
        )
    return drawn


@contextmanager
def _door() -> Iterator[Door]:
    door = given()
    if door is not None:
        yield door
        return
    with tempfile.TemporaryDirectory() as directory, gateway(Path(directory)) as begun:
        yield begun


def _reported(trial: Trial) -> Trial:
    _console.print(f"{trial.name} {trial.client.version()}: {'as it should be' if not trial.faults else 'WRONG'}")
    for fault in trial.faults:
        _console.print(f"    {fault[-1500:]}", style="red", markup=False)
    return trial


def _word(held: bool) -> str:
    return "yes" if held else "NO"


if __name__ == "__main__":
    sys.exit(main())
