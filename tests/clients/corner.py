"""A corner for a client that is a program: a HOME of its own, an empty working directory, and one command to call.

Nothing of the user's own settings reaches it, and its environment holds nothing but what is said here.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.door import RESULT, Wrong

COMMAND = "note.txt"
"""A program on the client's path that prints RESULT; a name that the test weights can copy."""
SECONDS = 600
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Corner:
    """Where one client runs."""

    home: Path
    work: Path
    path: str

    def run(self, command: Sequence[str], said: str = "", **environment: str) -> str:
        """What a command printed; `said` is its standard input. Raises Wrong when it fails or takes too long."""
        try:
            ended = subprocess.run(
                command,
                cwd=self.work,
                env=self._environment(environment),
                input=said,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            told = (late.stdout or b"").decode(errors="replace")[-1000:]
            raise Wrong(f"{command[0]} came to no end within {SECONDS} seconds; it said {told!r}") from late
        except OSError as error:
            raise Wrong(f"cannot run {command[0]}: {error}") from error
        if ended.returncode != 0:
            raise Wrong(
                f"{command[0]} ended with {ended.returncode}: {ended.stdout[-1500:]!r}, {ended.stderr[-1500:]!r}"
            )
        return ended.stdout

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {**passed, "PATH": self.path, "HOME": str(self.home), "TERM": "dumb", "NO_COLOR": "1", **own}


@contextmanager
def corner() -> Iterator[Corner]:
    """One, until the end."""
    with tempfile.TemporaryDirectory(prefix="c") as directory:
        home, work, programs = (Path(directory, name) for name in ("home", "work", "bin"))
        for each in (home, work, programs):
            each.mkdir()
        program = programs / COMMAND
        program.write_text(f"#!/bin/sh\necho '{RESULT}'\n")
        program.chmod(0o755)
        for name in (".profile", ".zprofile"):  # login shells begin with the system's own path
            (home / name).write_text(f'PATH="{programs}:$PATH"\n')
        yield Corner(home, work, f"{programs}{os.pathsep}{os.environ['PATH']}")
