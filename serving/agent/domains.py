"""The RDMA protection domains that this machine's ranks have used since its boot, as a ledger in one file.

A Thunderbolt device has eleven (`ibv_devinfo -v`: max_pd 11). A rank takes one on each device that faces a peer, once
it is let in. The kernel takes them back when the process is gone, but those of a start that failed have been seen to
stay until the next reboot (mlx issue 3207); then nothing starts any more, with `RTR failed with errno 96`. So ranks
that did not end cleanly are held against the limit, one each, until the kernel itself says that fewer are in use.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from pydantic import ValidationError

from serving.api import DomainsReport, RankReport
from serving.declared import Declared
from serving.rank.status import replace

LIMIT = 11
COUNT = ("/usr/sbin/ioclasscount", "AppleThunderboltRDMAProtectionDomain")
"""Prints how many the kernel has, over all devices; only while no rank lives are these the lost ones."""


class Ledger(Declared):
    """What one boot has used."""

    boot: str
    spent: int = 0
    unclean: tuple[int, ...] = ()
    open: int | None = None
    """The generation that was let in and has not been seen to end."""
    held_at_most: int | None = None
    """As the kernel counted after the last of them."""

    def let_in(self, generation: int) -> Ledger:
        """With one more rank; a second time changes nothing."""
        if self.open == generation:
            return self
        return self.model_copy(update={"spent": self.spent + 1, "open": generation})

    def ended(self, report: RankReport | None, *, stopped: bool) -> Ledger:
        """With the last rank's end written down. `stopped`: it ended in its time after SIGTERM."""
        if self.open is None or (report is not None and report.living):
            return self
        if report is not None and report.generation == self.open and _clean(report, stopped):
            return self.model_copy(update={"open": None})
        return self.model_copy(update={"open": None, "unclean": (*self.unclean, self.open), "held_at_most": None})

    def counted(self, number: int) -> Ledger:
        """With what the kernel says while no rank lives."""
        return self.model_copy(update={"held_at_most": number})

    def report(self) -> DomainsReport:
        """For whoever asks this machine's agent."""
        held = len(self.unclean) if self.held_at_most is None else min(len(self.unclean), self.held_at_most)
        return DomainsReport(limit=LIMIT, spent=self.spent, unclean=self.unclean, left=LIMIT - held)


def _clean(report: RankReport, stopped: bool) -> bool:
    joined = report.status is not None and report.status.phase in ("loading", "serving", "ended")
    return joined and (stopped or (report.exit_code is not None and report.exit_code >= 0))


def exhausted(machine: str, ledger: Ledger) -> str:
    """Why no rank may use RDMA here any more, or nothing while it may."""
    report = ledger.report()
    if report.left >= 1:
        return ""
    return (
        f"{machine} may have no RDMA protection domain left: {len(report.unclean)} ranks have not ended cleanly since "
        f"its boot, a device has {report.limit}. Restart {machine}"
    )


def parse_count(printed: str) -> int | None:
    """The number in what ioclasscount printed."""
    number = re.search(r"AppleThunderboltRDMAProtectionDomain\s*=\s*(\d+)", printed)
    return None if number is None else int(number[1])


class LedgerFile:
    """The ledger of this boot; what an earlier boot left is forgotten."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self.ledger = _read(path, boot)

    def write(self, ledger: Ledger) -> None:
        """Keep a changed ledger; on a full disk in memory alone."""
        if ledger == self.ledger:
            return
        self.ledger = ledger
        try:
            replace(self._path, ledger.model_dump_json())
        except OSError as error:
            logging.warning("cannot write %s: %s. It is kept in memory.", self._path, error)


def _read(path: Path, boot: str) -> Ledger:
    try:
        ledger = Ledger.model_validate_json(path.read_text())
    except (OSError, UnicodeDecodeError, ValidationError):
        return Ledger(boot=boot)
    return ledger if ledger.boot == boot else Ledger(boot=boot)
