"""What root keeps in the links daemon's state directory, so that a restart and a power cut forget nothing.

before.json   how the machine was before anything was changed, in this boot
trial.json    the unconfirmed release that changed something, until when it may
filter.json   what we hold of the packet filter in this boot, our reference's token among it
confirmed     name of the release that the control machine confirmed
reverted      name of the release that was taken back
lock          held while one of the daemon, `confirm` and `undo` decides and acts
running       held by the daemon as long as it runs

A file that cannot be understood counts as none: then the record is made anew, or the release is unconfirmed.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from serving.declared import Declared
from serving.links.decision import Decision
from serving.links.observation import Before, Held, Kept, Trial

D = TypeVar("D", bound=Declared)


class StateDirectory:
    """The directory; made when it is not there. Raises OSError where the disk does not let it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: Held | None = None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else decides meanwhile."""
        descriptor = self._open("lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def run_alone(self) -> None:
        """Be the daemon from now until the process ends; waits while another one is."""
        fcntl.flock(self._open("running"), fcntl.LOCK_EX)

    def is_daemon_running(self) -> bool:
        """Whether a daemon runs, whatever it does."""
        descriptor = self._open("running")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _open(self, name: str) -> int:
        return os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def kept(self, release: str, boot: str) -> Kept:
        """What there is about this release and this boot."""
        before, held = self._read("before.json", Before), self._held or self._read("filter.json", Held)
        trial = self._read("trial.json", Trial)
        return Kept(
            confirmed=self._text("confirmed") == release,
            reverted=self._text("reverted") == release,
            before=before if before is not None and before.boot == boot else None,
            trial=trial if trial is not None and trial.release == release else None,
            inherited=trial if trial is not None and trial.release != release and trial.before.boot == boot else None,
            held=held if held is not None and held.boot == boot else None,
        )

    def write_down(self, kept: Kept, decision: Decision) -> None:
        """What must be on disk before the first change."""
        if decision.before is not None and decision.before != kept.before:
            self._write("before.json", decision.before.model_dump_json())
        if decision.trial is None:
            self._remove("trial.json")
        elif decision.trial != kept.trial:
            self._write("trial.json", decision.trial.model_dump_json())

    def hold(self, held: Held) -> None:
        """What we hold of the packet filter; on a full disk known to this process only, or it would take ever more."""
        self._held = held
        try:
            self._write("filter.json", held.model_dump_json())
        except OSError as error:
            logging.warning("cannot write down what we hold of the packet filter: %s", error)

    def confirm(self, release: str) -> None:
        """This release stays."""
        self._write("confirmed", f"{release}\n")
        self._remove("trial.json")

    def revert(self, release: str) -> None:
        """This release was taken back; it does nothing until it is tried again."""
        self._write("reverted", f"{release}\n")
        self._remove("trial.json")

    def try_again(self) -> None:
        """Whatever was taken back may change things once more, for a while."""
        self._remove("reverted")
        self._remove("trial.json")

    def forget(self) -> None:
        """Nothing of ours is left on the machine, so nothing needs to be known."""
        self._held = None
        for name in ("before.json", "trial.json", "filter.json", "confirmed", "reverted"):
            self._remove(name)

    def _text(self, name: str) -> str:
        try:
            return (self._directory / name).read_text().strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def _read(self, name: str, kind: type[D]) -> D | None:
        try:
            return kind.model_validate_json(self._text(name))
        except ValidationError:
            return None

    def _write(self, name: str, text: str) -> None:
        new, final = self._directory / f"{name}.new", self._directory / name
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode())
            # A deadline or a confirmation that a power cut takes away is worse than none.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(final)

    def _remove(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)
