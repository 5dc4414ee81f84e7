"""Receipts as files: `.cidermill/NAME.receipts/WHEN.json` on the control machine, the oldest first by name.

One that cannot be read is told, and passed over: what was measured once must keep nobody from anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from serving.measuring.receipt import MeasuredReplica, Receipt


@dataclass(frozen=True)
class Kept:
    """Receipts, the newest first, and what could not be read."""

    receipts: tuple[Receipt, ...] = ()
    problems: tuple[str, ...] = ()

    def of(self, name: str) -> list[tuple[Receipt, MeasuredReplica]]:
        """Those of a replica, the newest first."""
        return [(receipt, each) for receipt in self.receipts for each in receipt.replicas if each.name == name]


NONE = Kept()


def read(directory: Path) -> Kept:
    """All of a directory; none when it is not there. Never raises."""
    receipts: list[Receipt] = []
    problems: list[str] = []
    try:
        paths = sorted(directory.glob("*.json"), reverse=True)
    except OSError as error:
        return Kept(problems=(f"cannot read the receipts in {directory}: {error}. Mend the directory.",))
    for path in paths:
        try:
            receipts.append(Receipt.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            problems.append(f"cannot read the receipt {path}: {_briefly(error)}. Move it away, then bench again.")
    return Kept(tuple(receipts), tuple(problems))


def write(directory: Path, receipt: Receipt) -> Path:
    """Keep a receipt; returns where."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{receipt.at.replace(':', '')}.json"
    new = path.with_suffix(".new")
    new.write_text(receipt.model_dump_json(indent=2) + "\n")
    new.replace(path)
    return path


def _briefly(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    first = error.errors()[0]
    place = "/".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
