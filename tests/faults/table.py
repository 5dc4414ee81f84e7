"""The rows as they are printed, and as they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import groupby

from rich.table import Table

from tests.faults.judging import Row, compared, missed

_COUNTS = ("answered", "continued", "replayed", "lost", "altered", "turned_away", "cut_off", "overdue", "lies")
_HEADS = ("answered", "continued", "replayed", "lost", "altered", "turned away", "cut off", "overdue", "lies")


def table(rows: Sequence[Row]) -> Table:
    """One line for each fault, replica and machine: the worst of its times, the sum of its counts."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column("fault")
    drawn.add_column("at")
    for head in ("tried", "noticed s", "ready again s", "cold start s", "times", *_HEADS, "longest wait s"):
        drawn.add_column(head, justify="right")
    drawn.add_column("")
    for (fault, replica, machine), group in groupby(
        sorted(compared(rows), key=lambda row: (row.replica, row.fault, row.machine)),
        key=lambda row: (row.fault, row.replica, row.machine),
    ):
        same = list(group)
        held = not any(True for row in same for _ in missed(row))
        drawn.add_row(
            fault,
            f"{replica} {machine}",
            str(len(same)),
            *_line(same),
            "held" if held else "MISSED",
            style="" if held else "red",
        )
    return drawn


def verdict(rows: Sequence[Row]) -> list[str]:
    """One line for each bound that was missed, with what the clients were told."""
    lines = []
    for row in compared(rows):
        for miss in missed(row):
            told = f" ({'; '.join(row.losses[:2])})" if any(word in miss for word in ("lost", "altered", "yes")) else ""
            lines.append(f"MISSED: {row.fault} at {row.replica} {row.machine}: {miss}{told}")
    return lines


def as_json(rows: Sequence[Row]) -> str:
    """Every trial with everything that was counted, and what it missed."""
    return json.dumps([{**asdict(row), "missed": list(missed(row))} for row in compared(rows)], indent=1) + "\n"


def _line(rows: Sequence[Row]) -> list[str]:
    worst = [_worst(rows, lambda row: row.noticed), _worst(rows, lambda row: row.ready_again)]
    cold = [_worst(rows, lambda row: row.cold_start), _worst(rows, lambda row: row.times_cold_start)]
    counts = [str(sum(getattr(row, name) for row in rows)) for name in _COUNTS]
    longest = max(rows, key=lambda row: row.longest_wait)
    return [*worst, *cold, *counts, f"{longest.longest_wait:.1f} of {longest.deadline:.0f}"]


def _worst(rows: Iterable[Row], of: Callable[[Row], float | None]) -> str:
    values = [value for value in map(of, rows) if value is not None]
    return f"{max(values):.2f}" if values else "-"
