"""What is in a weights directory, and how far it may be believed.

Hashing hundreds of gigabytes on every run would cost minutes, so a receipt beside the directory says what was sent and
when each file last changed on that disk. A file whose size or change time differs since has no known SHA-256 any more.
Change time, not modification time: it cannot be set back.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any, TypedDict

from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase

from operations.facts.reading import answers, asking, understood

# GNU first: GNU's `stat -f` means something else and would half succeed. Both print seconds with nanoseconds.
LISTING = (
    "if stat -c %s / >/dev/null 2>&1; then find . -type f -exec stat -c '%s %.9Z %n' {} +; "
    "else find . -type f -exec stat -f '%z %Fc %N' {} +; fi"
)


def receipt_of(directory: str) -> str:
    """The path of a weights directory's receipt: beside it, so that the directory holds weights and nothing else."""
    return f"{directory.rstrip('/')}.receipt.json"


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
        return trusted(listed(files.lines), _vouched(found["receipt"].text))


def listed(lines: Iterable[str]) -> dict[str, tuple[int, str]]:
    """(size, change time) by relative path, from the lines of LISTING."""
    files: dict[str, tuple[int, str]] = {}
    for line in lines:
        if not line.strip():
            continue
        words = line.split(" ", 2)
        if len(words) != 3 or not words[0].isdigit() or not words[2].startswith("./"):
            raise FactProcessError(f"cannot tell which weights are there: stat printed {line!r}")
        files[words[2].removeprefix("./")] = (int(words[0]), words[1])
    return files


def trusted(files: dict[str, tuple[int, str]], vouched: dict[str, Any]) -> dict[str, FileOnDisk]:
    """The files with the SHA-256 that the receipt still vouches for."""
    return {
        path: {
            "size": size,
            "sha256": known["sha256"]
            if (known := vouched.get(path)) and (known["size"], known["changed"]) == (size, changed)
            else None,
        }
        for path, (size, changed) in files.items()
    }


def _vouched(text: str) -> dict[str, Any]:
    try:
        files = json.loads(text)["files"]
    except (ValueError, KeyError, TypeError):
        return {}
    return files
