"""What a fault is, and the kinds that most of them are.

A fault that finds its Mac in that state already does nothing, and neither does its mending: what was there before is
written down beside the lab's files when, and only when, something was changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.standin.mac import INSIDE, Memory
from tests.standin.rack import with_machine
from tests.standin.unavailable import LabUnavailable

if TYPE_CHECKING:
    from tests.standin.lab import Lab

Switch = Callable[["Lab", str], None]


@dataclass(frozen=True)
class Fault:
    """A fault of one Mac: what it is, in a line, how it is put in and how it is mended."""

    summary: str
    put: Switch
    mend: Switch


def hardware(line: str, **fields: Any) -> Fault:
    """Another Mac, or another setting of it, from the next command on."""
    return Fault(line, lambda lab, name: change(lab, name, fields), lambda lab, name: restore(lab, name, fields))


def remembering(line: str, put: Callable[[Lab, str], Any], mend: Callable[[Lab, str, Any], None]) -> Fault:
    """A fault whose way out needs what `put` returns; None when there was nothing to do."""

    def put_once(lab: Lab, name: str) -> None:
        note = _note(lab, name, line)
        if not note.exists() and (before := put(lab, name)) is not None:
            note.write_text(json.dumps(before))

    def mend_once(lab: Lab, name: str) -> None:
        note = _note(lab, name, line)
        if note.exists():
            mend(lab, name, json.loads(note.read_text()))
            note.unlink()

    return Fault(line, put_once, mend_once)


def setting(line: str, read: Callable[[Lab, str], Any], write: Callable[[Lab, str, Any], None], bad: Any) -> Fault:
    """A setting that has this value instead of the one it had."""

    def put(lab: Lab, name: str) -> list[Any] | None:
        before = read(lab, name)
        if before == bad:
            return None
        write(lab, name, bad)
        return [before]

    return remembering(line, put, lambda lab, name, before: write(lab, name, before[0]))


def is_in(lab: Lab, name: str, fault: Fault) -> bool:
    """Whether a fault that remembers is put in now."""
    return _note(lab, name, fault.summary).exists()


def forget(lab: Lab, name: str, fault: Fault) -> None:
    """That a fault that remembers is in: something else has mended it, and it can be put in again."""
    _note(lab, name, fault.summary).unlink(missing_ok=True)


def _note(lab: Lab, name: str, line: str) -> Path:
    word = "".join(letter if letter.isalnum() else "-" for letter in line)
    return lab.state / f"{name}.{word[:80]}.fault"


def change(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    """Exchange parts of a Mac's hardware."""
    with lab.files.locked():
        rack = lab.rack()
        lab.files.write_rack(with_machine(rack, replace(rack.machines[name], **fields)))


def restore(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    """Put the parts back that were there when the lab came up."""
    healthy = lab.files.healthy().machines[name]
    change(lab, name, {field: getattr(healthy, field) for field in fields})


def run(lab: Lab, name: str, *argv: str) -> str:
    """What one of the Mac's own commands prints, run as root; LabUnavailable when it fails."""
    reply = lab.call(name, *argv)
    if reply.code:
        said = (reply.stderr or reply.stdout).strip()
        raise LabUnavailable(f"cannot put the fault in on {name}: {' '.join(argv)} ended with {reply.code}: {said}")
    return reply.stdout


def memory(lab: Lab, name: str) -> Memory:
    """What macOS remembers, for what is changed by hand at the Mac and not over SSH."""
    return Memory(lab.root(name) / (INSIDE / "memory").relative_to("/"))


def missing(name: str, what: str) -> LabUnavailable:
    """A fault that has nothing to act upon."""
    return LabUnavailable(f"cannot put the fault in on {name}: there is no {what}. Deploy to the Mac first.")
