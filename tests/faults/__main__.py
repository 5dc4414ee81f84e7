"""The fault matrix: every fault at every replica under load, and what became of the requests.

    uv run --all-groups python -m tests.faults [--times 3] [--fault NAME] [--replica a] [--through both] [--keep]

It makes a rack of stand-in Macs of its own and deploys to them. Before each fault the replica is started cold under the
same load, which is what its way back is compared with. It prints a table, writes every trial as JSON beside it, and
ends with 1 when a bound is missed. Needs what the stand-in Macs need (Linux, root), and about 3 GB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from tests.faults.judging import Row, compared, judge, missed
from tests.faults.kinds import KINDS
from tests.faults.load import answers
from tests.faults.mending import NotAsExpected
from tests.faults.rack import rack
from tests.faults.records import Door
from tests.faults.scene import REPLICAS, ROOT, Place, Scene
from tests.faults.table import as_json, table, verdict
from tests.faults.trial import Manner, settle, tried

CLIENTS = 8
DEADLINE_SECONDS = 120.0
DOORS: dict[str, tuple[Door, ...]] = {
    "gateway": ("gateway",),
    "endpoint": ("endpoint",),
    "both": ("gateway", "endpoint"),
}
_console = Console(highlight=False, soft_wrap=True)
_console.width = max(190, _console.width)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = _parser().parse_args(arguments)
    rows: list[Row] = []
    try:
        with rack(keep=given.keep) as scene:
            for row in _rows(scene, given):
                rows.append(row)
                _report(given.json, rows)
    except NotAsExpected as reason:
        _console.print(reason, style="red")
        return 1
    _console.print(table(rows))
    for line in verdict(rows):
        _console.print(line)
    return 1 if verdict(rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.faults", description="Faults under load, and what became of requests.")
    parser.add_argument("--times", type=int, default=1, help="how often each fault is put in (default: 1)")
    parser.add_argument("--fault", action="append", choices=KINDS, metavar="NAME", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--replica", choices=REPLICAS, help="only this one")
    parser.add_argument("--rank", type=int, help="only this one's machine")
    parser.add_argument("--through", choices=DOORS, default="both", help="where the clients go (default: both)")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--warm", action="store_true", help="without cold starts, so with nothing to compare with")
    parser.add_argument("--keep", action="store_true", help="leave the Macs up, for another run")
    parser.add_argument("--json", type=Path, default=ROOT / ".cidermill" / "faults.json", help="where trials are kept")
    return parser


def _rows(scene: Scene, given: argparse.Namespace) -> Iterator[Row]:
    doorways = [scene.gateway(), *(scene.endpoint(name) for name in REPLICAS)]
    needed = asyncio.run(answers(doorways, DEADLINE_SECONDS))
    manner = Manner(DOORS[given.through], given.clients, DEADLINE_SECONDS, needed, cold=not given.warm)
    for _ in range(given.times):
        for name, place in _places(given):
            _console.print(f"{name} at {place.replica} {place.machine}: {KINDS[name].summary}")
            settle(scene, place.replica, all_restarts=not manner.cold)  # a cold start gives them back
            yield judge(asyncio.run(tried(scene, name, KINDS[name], place, manner)))


def _places(given: argparse.Namespace) -> Iterator[tuple[str, Place]]:
    for name, kind in KINDS.items():
        for replica in REPLICAS:
            for rank in kind.ranks:
                chosen = given.fault is None or name in given.fault
                if chosen and given.replica in (None, replica) and given.rank in (None, rank):
                    yield name, Place(replica, rank)


def _report(file: Path, rows: Sequence[Row]) -> None:
    file.write_text(as_json(rows))
    row, misses = rows[-1], list(missed(compared(rows)[-1]))
    seconds = [f"{what} {value:.2f} s" for what, value in _times(row) if value is not None]
    counts = f"{row.answered} answered, {row.continued} continued, {row.replayed} replayed, {row.cut_off} cut off"
    _console.print(f"    {', '.join([*seconds, counts])}; {' / '.join(row.words)[:300]}")
    for miss in misses:
        _console.print(f"    MISSED: {miss} {' | '.join(row.losses[:3])}", style="red")


def _times(row: Row) -> Iterator[tuple[str, float | None]]:
    yield "noticed", row.noticed
    yield "ready again", row.ready_again
    yield "cold start", row.cold_start


if __name__ == "__main__":
    sys.exit(main())
