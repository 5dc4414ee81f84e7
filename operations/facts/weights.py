"""What is in a weights directory, and how far it may be believed.

Hashing hundreds of gigabytes on every run would cost minutes, so a receipt beside the directory says what was sent and
when each file last changed on that disk. A file whose size or change time differs since has no known SHA-256 any more.
Change time, not modification time: it cannot be set back.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TypedDict

from pydantic import BaseModel, ValidationError
from pyinfra.api.facts import FactBase

from operations.facts.reading import answers, asking, cannot_tell, number, understood

# GNU first: GNU's `stat -f` means something else and would half succeed. Both print seconds with nanoseconds.
LISTING = (
    "if stat -c %s / >/dev/null 2>&1; then find . -type f -exec stat -c '%s %.9Z %n' {} +; "
    "else find . -type f -exec stat -f '%z %Fc %N' {} +; fi"
)


def receipt_of(directory: str) -> str:
    """The path of a weights directory's receipt: beside it, so that the directory holds weights and nothing else."""
    return f"{directory.rstrip('/')}.receipt.json"


class Vouched(BaseModel):
    """One file as it was when it was checked; `changed` is its change time in seconds, as stat prints it."""

    size: int
    sha256: str
    changed: str


class Receipt(BaseModel):
    """What was checked on this disk, by relative path."""

    files: dict[str, Vouched]


class FileOnDisk(TypedDict):
    """One file: bytes, and SHA-256 while the receipt still vouches for it."""

    size: int
    sha256: str | None


class WeightsOnDisk(FactBase[dict[str, FileOnDisk] | None]):
    """The files of a weights directory by relative path; {} when there is no such directory.

    None only when the machine could not be asked at all.
    """

    def command(self, directory: str) -> str:
        """One command for receipt and listing."""
        self.directory = directory
        quoted = shlex.quote(directory)
        return asking(
            receipt=f"cat {shlex.quote(receipt_of(directory))} 2>/dev/null || true",
            files=f"if cd {quoted} 2>/dev/null; then {LISTING}; fi",
        )

    def process(self, output: list[str]) -> dict[str, FileOnDisk]:
        """Raises FactProcessError when the listing cannot be read. A damaged receipt vouches for nothing."""
        found = answers(output)
        files = understood(found["files"], f"which weights are in {self.directory}")
        return trusted(listed(files.lines), _receipt(found["receipt"].text))


def listed(lines: Iterable[str]) -> dict[str, tuple[int, str]]:
    """(size, change time) by relative path, from the lines of LISTING."""
    files: dict[str, tuple[int, str]] = {}
    for line in lines:
        if not line.strip():
            continue
        words = line.split(" ", 2)
        size = number(words[0])
        if len(words) != 3 or size is None or not words[2].startswith("./"):
            raise cannot_tell("which weights are there", f"stat printed {line!r}")
        files[words[2].removeprefix("./")] = (size, words[1])
    return files


def trusted(files: dict[str, tuple[int, str]], receipt: Receipt) -> dict[str, FileOnDisk]:
    """The files with the SHA-256 that the receipt still vouches for."""
    vouched = {path: {(file.size, file.changed): file.sha256} for path, file in receipt.files.items()}
    return {
        path: {"size": size, "sha256": vouched.get(path, {}).get((size, changed))}
        for path, (size, changed) in files.items()
    }


def _receipt(text: str) -> Receipt:
    try:
        return Receipt.model_validate_json(text)
    except ValidationError:
        return Receipt(files={})
