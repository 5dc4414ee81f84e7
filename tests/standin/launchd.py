"""launchd: loads the daemons of a stand-in Mac from their plists and really supervises them.

Relies on launchd's behaviour as seen on macOS 26: a plist is read only at bootstrap; taking a job out returns before
its process has ended, and until then the label can neither be taken out again (36) nor loaded (5); a label can be
disabled, and stays so across reboots whether or not a job of that name exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from tests.standin.launchd_job import Job
from tests.standin.launchd_plist import JobPlist, LaunchdError, read_job
from tests.standin.mac import Memory

LOG = logging.getLogger("standin.launchd")
DISABLED = "launchd-disabled"
"""Memory subject: label -> whether it is disabled."""
FROM_FACTORY = {"com.openssh.sshd": False}
SHUTDOWN_LIMIT_SECONDS = 20.0
"""A Mac going down waits for no job longer than this, whatever its ExitTimeOut."""


class Launchd:
    """The system domain of one Mac. Every method belongs to the event loop it was started on."""

    def __init__(self, memory: Memory, daemons: Path = Path("/Library/LaunchDaemons")) -> None:
        self.daemons = daemons
        self._memory = memory
        self._jobs: dict[str, Job] = {}
        self._removals: set[asyncio.Task[None]] = set()
        self.disabled_at_boot = frozenset(label for label, disabled in self.disabled.items() if disabled)

    async def start(self) -> None:
        """Boot: load every plist that is sound and enabled; the rest goes to the log, as on macOS."""
        for path in sorted(self.daemons.glob("*.plist")):
            with contextlib.suppress(LaunchdError):  # bootstrap has logged it
                self.bootstrap(path)

    async def stop(self) -> None:
        """Shutdown: SIGTERM to every job at once, then SIGKILL, and return when all are gone."""
        await asyncio.gather(*(job.remove(SHUTDOWN_LIMIT_SECONDS) for job in self._jobs.values()))
        await asyncio.gather(*self._removals)
        self._jobs.clear()

    @property
    def jobs(self) -> dict[str, Job]:
        """The loaded jobs by label, those on their way out included."""
        return dict(self._jobs)

    def job(self, label: str) -> Job:
        """A loaded job. Raises LaunchdError 113."""
        if label not in self._jobs:
            raise LaunchdError(113, f"'{label}' is not loaded")
        return self._jobs[label]

    def bootstrap(self, path: Path) -> Job:
        """Load a job from its file. Raises LaunchdError 5 (bad file, label taken) or 119 (disabled), and logs why."""
        try:
            return self._load(read_job(path))
        except LaunchdError as error:
            LOG.warning("bootstrap refused: %s", error.reason)
            raise

    def _load(self, plist: JobPlist) -> Job:
        if plist.label in self._jobs:
            raise LaunchdError(5, f"{plist.path}: '{plist.label}' is already loaded")
        if self.disabled.get(plist.label, plist.disabled):
            raise LaunchdError(119, f"{plist.path}: '{plist.label}' is disabled")
        job = self._jobs[plist.label] = Job(plist)
        job.load()
        return job

    def bootout(self, label: str) -> None:
        """Begin to take a job out. Raises LaunchdError 3 (not loaded) or 36 (already on its way out)."""
        job = self._jobs.get(label)
        if job is None:
            raise LaunchdError(3, f"'{label}' is not loaded")
        if job.removing:
            raise LaunchdError(36, f"'{label}' is being taken out")
        job.removing = True
        removal = asyncio.create_task(self._remove(label, job))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def _remove(self, label: str, job: Job) -> None:
        await job.remove()
        del self._jobs[label]

    @property
    def disabled(self) -> dict[str, bool]:
        """The persistent overrides: label -> whether it is disabled; others follow their plist."""
        return self._memory.read(DISABLED, FROM_FACTORY)

    def set_disabled(self, label: str, disabled: bool) -> None:
        """Override a label from now on; a job that is loaded goes on."""
        self._memory.write(DISABLED, {**self.disabled, label: disabled})
