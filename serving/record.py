"""What a Mac was last proven with, as it is written down on the Mac itself, and the history of it.

It is written when a replica has proven itself, on every Mac of it, and never before: so after a run that was cut off
anywhere it tells what there was to go back to. A later version may have more to tell; what is not known is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from serving.declared import Declared
from serving.errors import RecordUnreadable

Names = Annotated[tuple[str, ...], Field(strict=False)]


class Record(Declared):
    """What one Mac serves."""

    model_config = ConfigDict(extra="ignore")

    replica: str
    machines: Names
    """In rank order."""
    weights: str
    weights_directory: str
    release: str
    """This Mac's own."""
    environments: Names = ()
    """Directories that the release is linked to."""
    context_tokens: int | None = None
    """What an answer may have grown to; None where an older deploy wrote this."""
    since: str = ""
    """When it was proven (UTC)."""
    seconds: float | None = None
    """From the switch until it was proven."""
    speed: Mapping[str, Any] | None = None
    """As `serving.conductor.speed.Speed` has it."""


class Line(Declared):
    """One change in a Mac's history."""

    model_config = ConfigDict(extra="ignore")

    at: str
    outcome: str
    """`proven`, `went back` or `let go`."""
    replica: str
    release: str
    weights: str = ""
    weights_directory: str = ""
    environments: Names = ()
    why: str = ""


@dataclass(frozen=True)
class Proven:
    """A replica as its Macs were last proven to serve it; `releases` by machine."""

    name: str
    machines: tuple[str, ...]
    weights: str
    weights_directory: str
    releases: Mapping[str, str]
    since: str
    seconds: float | None
    context_tokens: int | None = None

    @property
    def first(self) -> str:
        """The machine of its rank 0."""
        return self.machines[0]


def parsed(machine: str, text: str | None) -> Record | None:
    """The record of a machine; None when there is none. Raises RecordUnreadable."""
    if text is None:
        return None
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise RecordUnreadable(f"cannot tell what {machine} serves: its record reads {text[:200]!r}.") from error


def history(text: str | None) -> list[Line]:
    """The lines of a history that can be read, the oldest first. One that was cut off by a power loss is left out."""
    lines: list[Line] = []
    for line in (text or "").splitlines():
        try:
            lines.append(Line.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            continue
    return lines


def proven(records: Mapping[str, Record | None]) -> tuple[Proven, ...]:
    """The replicas that the records of all machines tell of, those that all their Macs agree on.

    A Mac without a record keeps its replica out of it: there is a rank missing. One that is not among the machines any
    more was taken out of the lab, and serves as long as nobody stops it.
    """
    found: dict[str, Proven] = {}
    for record in filter(None, records.values()):
        there = {name: records[name] for name in record.machines if name in records}
        if all(each is not None and _key(each) == _key(record) for each in there.values()):
            found[record.replica] = Proven(
                name=record.replica,
                machines=record.machines,
                weights=record.weights,
                weights_directory=record.weights_directory,
                releases={name: each.release for name, each in there.items() if each is not None},
                since=record.since,
                # The Mac that was asked wrote it down, which is rank 0's.
                seconds=next((each.seconds for each in there.values() if each is not None and each.seconds), None),
                context_tokens=record.context_tokens,
            )
    return tuple(found[name] for name in sorted(found))


def _key(record: Record) -> tuple[str, tuple[str, ...]]:
    return record.replica, record.machines
