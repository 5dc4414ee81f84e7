"""How the control machine confirms what the links daemon changed: `python -m serving.links.confirm CONFIG.json`.

    --within SECONDS   how long to wait until the daemon of this release has settled (60)
    --check            say how it is, and change nothing

Needs root. Prints one JSON line: `{"state": ..., "release": ..., "problems": [...]}`, where state is confirmed,
unconfirmed, reverted, or silent when no daemon of this release reports. Ends 0 when the release is confirmed, 1 when
it isn't, and 75 when the network was changed while this command waited: then that it ran proves nothing, and it must be
run again over a new connection. A release that was taken back is tried again first. With --check it always ends 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal

from serving.boot import boot_session
from serving.configuration import LinksConfiguration
from serving.links.decision import left
from serving.links.keeping import StateDirectory
from serving.links.observation import Clock
from serving.links.report import CableReport, read_report

_POLL_SECONDS = 0.2
_WITHIN_SECONDS = 60.0


class Exit(IntEnum):
    """Exit codes of this command; the numbers follow sysexits(3)."""

    CONFIRMED = 0
    NOT_CONFIRMED = 1
    AGAIN = 75


@dataclass(frozen=True)
class Answer:
    """What there is to say."""

    state: Literal["confirmed", "unconfirmed", "reverted", "silent"]
    release: str | None = None
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        return json.dumps({"state": self.state, "release": self.release, "problems": list(self.problems)})


class Confirming:
    """One release on one machine, as its daemon reports it."""

    def __init__(self, configuration: LinksConfiguration, release: str, clock: Callable[[], Clock]) -> None:
        self._files = StateDirectory(Path(configuration.state_directory))
        self._report = Path(configuration.report)
        self._release = release
        self._clock = clock

    def check(self) -> Answer:
        """How it is."""
        report = self._own_report()
        if report is None:
            return Answer("silent")
        kept = self._files.kept(self._release, report.boot)
        state = "reverted" if kept.reverted else "confirmed" if kept.confirmed else "unconfirmed"
        return Answer(state, report.release, report.problems)

    def confirm(self, within_seconds: float, pause: Callable[[float], None]) -> tuple[Exit, Answer]:
        """Wait until the daemon has settled; then confirm, unless it changed something meanwhile."""
        before = self._own_report()
        self._try_again_if_reverted()
        until = self._clock().monotonic + within_seconds
        while not _has_settled(report := self._own_report()) and self._clock().monotonic < until:
            pause(_POLL_SECONDS)
        if report is None or not _has_settled(report):
            return Exit.NOT_CONFIRMED, self.check()
        with self._files.locked():
            code = self._confirm(before, report)
        return code, self.check()

    def _confirm(self, before: CableReport | None, now: CableReport) -> Exit:
        clock = self._clock()
        kept = self._files.kept(self._release, clock.boot)
        if kept.reverted or (kept.trial is not None and left(kept.trial, clock) <= 0):
            return Exit.NOT_CONFIRMED
        if not kept.confirmed and _changed(before, now):
            return Exit.AGAIN
        self._files.confirm(self._release)
        return Exit.CONFIRMED

    def _try_again_if_reverted(self) -> None:
        with self._files.locked():
            if self._files.kept(self._release, self._clock().boot).reverted:
                self._files.try_again()

    def _own_report(self) -> CableReport | None:
        report = read_report(self._report, self._clock().boot)
        own = report is not None and report.release == self._release and self._files.is_daemon_running()
        return report if own else None


def _has_settled(report: CableReport | None) -> bool:
    return report is not None and report.state != "reverted" and report.settled


def _changed(before: CableReport | None, now: CableReport) -> bool:
    """Whether the daemon changed something between two reports, as far as can be told."""
    if before is None:
        return now.changes > 0
    return (before.since, before.changes) != (now.since, now.changes)


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.links.confirm", description="Confirm what the links daemon changed.")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--within", type=float, default=_WITHIN_SECONDS, metavar="SECONDS")
    parser.add_argument("--check", action="store_true", help="change nothing")
    given = parser.parse_args(arguments)
    path: Path = given.configuration.resolve()
    configuration, boot = LinksConfiguration.model_validate_json(path.read_text()), boot_session()

    def clock() -> Clock:
        return Clock(boot, time.monotonic(), time.time())

    confirming = Confirming(configuration, path.parent.name, clock)
    if given.check:
        print(confirming.check())
        return 0
    code, answer = confirming.confirm(given.within, time.sleep)
    print(answer)
    if code != Exit.CONFIRMED:
        print(_why(code, answer, path.parent.name, configuration.machine, given.within), file=sys.stderr)
    return code


def _why(code: Exit, answer: Answer, release: str, machine: str, within: float) -> str:
    if code == Exit.AGAIN:
        return (
            f"cannot confirm {release} on {machine} yet: the network was changed while this command waited for it. "
            "Run it again over a new connection."
        )
    problems = f" ({'; '.join(answer.problems)})" if answer.problems else ""
    return (
        f"cannot confirm {release} on {machine}: its links daemon is {answer.state}{problems}, needed one that has "
        f"settled within {within:g} seconds. Read links.log on {machine}."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
