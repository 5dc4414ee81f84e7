"""`cidermill history`: who serves what, since when, from which release, and what was before; as the Macs tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import OperationError
from pyinfra.api.host import Host

from operations.command.connecting import Connected, connected, console
from operations.console import drawn
from operations.facts.texts import Texts
from operations.inventory import machine_name
from operations.remote import read, together, working_on
from serving import layout
from serving.record import Line, Record, history, parsed

COLUMNS = ("Mac", "replica", "serves", "release", "since", "took", "tokens/s")
EARLIER = ("when", "Mac", "replica", "weights", "release", "outcome", "why")


@dataclass(frozen=True)
class Told:
    """What one Mac has written down."""

    record: Record | None
    lines: tuple[Line, ...]


def tell(inventory: Path, *, as_json: bool) -> int:
    """Print who serves what and what was before; 1 when a Mac could not be asked."""
    with connected(inventory) as lab:
        told, silent = _asked(lab)
    if as_json:
        print(json.dumps(document(told, silent), indent=2))
    else:
        out = console()
        out.print(drawn(COLUMNS, [_row(name, each.record) for name, each in sorted(told.items())]))
        out.print()
        out.print(drawn(EARLIER, _earlier(told)))
        for name, why in sorted(silent.items()):
            out.print(f"{name}: {why}", soft_wrap=True, markup=False)
    return 1 if silent else 0


def document(told: Mapping[str, Told], silent: Mapping[str, str]) -> dict[str, Any]:
    """The same for programs: `machines` by name with `serves` (None: nothing) and `history`; `silent` by name."""
    machines = {
        name: {
            "serves": None if each.record is None else each.record.model_dump(mode="json"),
            "history": [line.model_dump(mode="json") for line in each.lines],
        }
        for name, each in sorted(told.items())
    }
    return {"machines": machines, "silent": dict(silent)}


def _asked(lab: Connected) -> tuple[dict[str, Told], dict[str, str]]:
    told: dict[str, Told] = {}
    silent = dict(lab.unreachable)

    def ask(host: Host) -> None:
        name = machine_name(host)
        try:
            with working_on(host):
                texts = read(host, Texts, paths=[layout.SERVES, layout.HISTORY])
        except OperationError as error:
            silent[name] = str(error)
        else:
            told[name] = Told(parsed(name, texts[layout.SERVES]), tuple(history(texts[layout.HISTORY])))

    together([lambda host=host: ask(host) for host in lab.state.inventory if host.connected])
    return told, silent


def _row(name: str, record: Record | None) -> tuple[str, ...]:
    if record is None:
        return (name, "", "nothing", "", "", "", "")
    rank = f"{record.replica}, rank {record.machines.index(name)}" if name in record.machines else record.replica
    took = "" if record.seconds is None else f"{record.seconds:.0f} s"
    speed = "" if record.speed is None else f"{record.speed.get('tokens_per_second', '')}"
    return (name, rank, record.weights, record.release, record.since, took, speed)


def _earlier(told: Mapping[str, Told]) -> list[tuple[str, ...]]:
    """All changes on all Macs, the newest first."""
    lines = [(line.at, name, line) for name, each in told.items() for line in each.lines]
    lines.sort(key=lambda each: each[:2], reverse=True)
    return [(at, name, line.replica, line.weights, line.release, line.outcome, line.why) for at, name, line in lines]
