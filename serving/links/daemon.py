"""`dev.cidermill.links`, as root on every machine: `python -m serving.links.daemon CONFIG.json`.

macOS puts all Thunderbolt ports into bridge0 at every boot, which is a loop as soon as cables are. This daemon takes
the declared ports out, brings them up and gives each its address; it keeps our packet-filter anchor loaded and the
wired memory limit where it is declared. It looks every few seconds, acts on differences only, and touches no other
interface, no stored network setting and no file of Apple's: changing those over SSH has cost people their Mac.

What an unconfirmed release changes goes back by itself at its deadline: see `decision`. `confirm` is how the control
machine says that it still reaches the machine. Every command has a limit; what it says of failure is in the report.
SIGTERM has its default disposition.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving import logs
from serving.boot import boot_session
from serving.configuration import LinksConfiguration
from serving.layout import LOGS
from serving.links.acting import Hands
from serving.links.commands import Command, execute
from serving.links.decision import Decision, decide, left
from serving.links.keeping import StateDirectory
from serving.links.looking import Looking, Wanted
from serving.links.observation import Clock, Kept, Seen
from serving.links.report import CableEnd, CableReport, Did, read_report
from serving.links.telling import ends, filter_status, problems
from serving.links.times import utc
from serving.rank.status import replace

_PERIOD_SECONDS = 4.5
_ALL_OF_IT_SECONDS = 8.0
"""So that every second look is at all of it, and whatever is lost is mended within ten seconds."""
_DOWN_SECONDS = 1.0
"""While a cable is: ranks wait for it, and nothing else tells when the Mac at its other end is back."""

_SETTLING_SECONDS = 0.5
_SETTLING_LOOKS = 20


@dataclass(frozen=True)
class Daemon:
    """Who is running: the release by its name, and what the report should remember from before."""

    configuration: LinksConfiguration
    release: str
    clock: Callable[[], Clock]
    did: tuple[Did, ...] = ()


class Links:
    """One machine looked after. `command` is the only way out."""

    def __init__(self, daemon: Daemon, command: Command) -> None:
        self._daemon = daemon
        self._configuration = daemon.configuration
        self._files = StateDirectory(Path(daemon.configuration.state_directory))
        self._looking = Looking(command)
        self._hands = Hands(command, self._files, daemon.did)
        self._since = utc(daemon.clock().wall)
        self._settling = 0
        self._is_down = False
        self._all_of_it_at = -math.inf
        self._left: float | None = None

    @property
    def pause_seconds(self) -> float:
        """How long until the next look: a port that was brought up takes about three seconds to show carrier."""
        undisturbed = _DOWN_SECONDS if self._is_down else _PERIOD_SECONDS
        pause = _SETTLING_SECONDS if self._settling else undisturbed
        return min(pause, self._left) if self._left is not None and self._left > 0 else pause

    def converge(self) -> CableReport:
        """Look, act on differences, and tell how it is now."""
        waited_for, self._settling = self._settling > 0, max(0, self._settling - 1)
        seen = self._look(all_of_it=self._daemon.clock().monotonic >= self._all_of_it_at, quietly=waited_for)
        decision, trouble = self._step(seen, act=True)
        if decision.changes:
            self._settling = self._settling or (_SETTLING_LOOKS if decision.state != "reverted" else 0)
            seen = self._look(all_of_it=True, quietly=True)
            decision, trouble = self._step(seen, act=False)
        told = ends(self._configuration, seen, self._hands.failed)
        self._wait_no_longer(told, waited_for=waited_for)
        return self._report(seen, decision, told, trouble)

    def _look(self, *, all_of_it: bool, quietly: bool) -> Seen:
        if all_of_it:
            self._all_of_it_at = self._daemon.clock().monotonic + _ALL_OF_IT_SECONDS
        return self._looking.look(self._wanted(), all_of_it=all_of_it, quietly=quietly)

    def _wanted(self) -> Wanted:
        """Only what is declared, or was and may have to be given back."""
        kept = self._kept()
        records = [record for record in (kept.before, kept.trial and kept.trial.before) if record is not None]
        limits = (self._configuration.wired_limit_mb, *(record.wired_limit_mb for record in records))
        filters = (self._configuration.filter_rules, kept.held, *(record.filter_enabled for record in records))
        return Wanted(
            limit=any(limit is not None for limit in limits),
            filter=any(each is not None for each in filters),
        )

    def _step(self, seen: Seen, *, act: bool) -> tuple[Decision, str]:
        """Decide, write down, then act; and what kept it from being written down."""
        trouble = ""
        with self._files.locked():
            kept, clock = self._kept(), self._daemon.clock()
            decision = decide(self._configuration, self._daemon.release, seen, kept, clock)
            self._left = None if decision.trial is None else left(decision.trial, clock)
            try:
                self._files.write_down(kept, decision)
                if decision.is_back:
                    self._files.revert(self._daemon.release)
                    decision = Decision("reverted", decision.before, None)
                    self._left = None
            except OSError as error:
                trouble = f"cannot write to {self._configuration.state_directory}: {error}"
            # What cannot be written down could not be taken back; a confirmed release need not be.
            if act and (not trouble or decision.state == "confirmed" or decision.is_over):
                self._hands.make(decision.changes, kept.held, clock)
        return decision, trouble

    def _kept(self) -> Kept:
        return self._files.kept(self._daemon.release, self._daemon.clock().boot)

    def _wait_no_longer(self, told: dict[str, CableEnd], *, waited_for: bool) -> None:
        self._is_down = any(end.status != "active" for end in told.values())
        if not self._is_down:
            self._settling = 0
        elif waited_for and self._settling == 0:
            self._looking.doubt()

    def _report(self, seen: Seen, decision: Decision, told: dict[str, CableEnd], trouble: str) -> CableReport:
        limit = seen.wired_limit_mb if self._configuration.wired_limit_mb is not None else None
        found = problems(self._configuration, seen, decision, told, self._hands.failed)
        return CableReport(
            machine=self._configuration.machine,
            boot=self._daemon.clock().boot,
            peers=told,
            release=self._daemon.release,
            state=decision.state,
            deadline=None if decision.trial is None else utc(decision.trial.wall_deadline),
            settled=not self._settling and (not decision.changes or bool(self._hands.failed or trouble)),
            since=self._since,
            changes=self._hands.changes,
            filter=filter_status(self._configuration, seen, self._kept().held),
            wired_limit_mb=limit if isinstance(limit, int) else None,
            did=tuple(self._hands.did),
            problems=(*found, trouble) if trouble else found,
        )


def main(path: str) -> None:
    """Converge until SIGTERM."""
    logs.begin(Path(LOGS), "links")
    file = Path(path).resolve()
    configuration, boot = LinksConfiguration.model_validate_json(file.read_text()), boot_session()
    StateDirectory(Path(configuration.state_directory)).run_alone()
    report = Path(configuration.report)
    before = read_report(report, boot)

    def clock() -> Clock:
        return Clock(boot, time.monotonic(), time.time())

    links = Links(Daemon(configuration, file.parent.name, clock, before.did if before else ()), execute)
    told: CableReport | None = None
    while True:
        now = links.converge()
        if now != told or not report.exists():
            _tell(report, now, told)
            told = now
        time.sleep(links.pause_seconds)


def _tell(path: Path, now: CableReport, before: CableReport | None) -> None:
    said = set[str]() if before is None else {before.state, *before.problems}
    for line in (now.state, *now.problems):
        if line not in said:
            logging.info("%s: %s", now.release, line)
    try:
        replace(path, now.model_dump_json())
        path.chmod(0o644)  # the agent is another user
    except OSError as error:
        logging.warning("cannot tell the agent: %s", error)


if __name__ == "__main__":
    main(sys.argv[1])
