"""One job launchd has loaded: when it runs, when it is started again, and how it is taken out.

A job that ends sooner than its ThrottleInterval after its start is started again only once that time is over;
meanwhile it is `spawn scheduled`. Asking for it by hand (kickstart) does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib

from tests.standin.launchd_plist import JobPlist, LaunchdError
from tests.standin.launchd_process import JobProcess

SPAWN_FAILED = 78  # EX_CONFIG


class Job:
    """A loaded job. `load` begins its life, `remove` ends it; both belong to the running event loop."""

    def __init__(self, plist: JobPlist) -> None:
        self.plist = plist
        self.process: JobProcess | None = None
        self.runs = 0
        self.last_status: int | None = None
        self.reason = "speculative"
        self.removing = False
        self._started_at = float("-inf")
        self._wanted = asyncio.Event()
        self._at_once = asyncio.Event()
        self._spawned: asyncio.Future[int] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def state(self) -> str:
        """As `launchctl print` words it."""
        if self.process is not None:
            return self.process.state
        return "spawn scheduled" if self._wanted.is_set() else "not running"

    @property
    def job_state(self) -> str | None:
        """The second, finer word of `launchctl print`; None before the first run."""
        if self.process is not None:
            return "running"
        if self.last_status is None:
            return None
        return "spawn failed" if self.last_status == SPAWN_FAILED else "exited"

    def load(self) -> None:
        """Begin: start it now if its plist says so, and keep to its interval."""
        self._tasks.append(asyncio.create_task(self._supervise()))
        if self.plist.start_interval:
            self._tasks.append(asyncio.create_task(self._keep_interval(self.plist.start_interval)))
        if self.plist.starts_at_load:
            self._wanted.set()

    async def kickstart(self, *, kill: bool) -> int:
        """Run it now, whatever its conditions, and return the process id. A running one is only ended with `kill`."""
        if self.removing or (self.process is not None and self.process.state != "running"):
            raise LaunchdError(37, f"'{self.plist.label}' is being ended")
        if self.process is not None and not kill:
            return self.process.pid
        self._spawned = self._spawned or asyncio.get_running_loop().create_future()
        spawned = self._spawned
        self._want("non-ipc demand")
        self._at_once.set()
        if self.process is not None:
            await self.process.end(self.plist.grace_seconds)
        return await asyncio.shield(spawned)

    async def remove(self, limit_seconds: float | None = None) -> None:
        """End its process, within its ExitTimeOut and the limit, and never start it again."""
        self.removing = True
        self._wanted.clear()
        if self._spawned is not None:
            self._spawned.set_exception(LaunchdError(3, f"'{self.plist.label}' was taken out"))
            self._spawned = None
        grace = self.plist.grace_seconds
        if limit_seconds is not None:
            grace = min(grace or limit_seconds, limit_seconds)
        if self.process is not None:
            await self.process.end(grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def _want(self, reason: str) -> None:
        if not self._wanted.is_set():
            self.reason = reason
        self._wanted.set()

    async def _supervise(self) -> None:
        while not self.removing:
            await self._wanted.wait()
            await self._wait_for_throttle()
            self._wanted.clear()
            self._at_once.clear()
            self.last_status = await self._run()
            if not self.removing and self.plist.keeps_alive_after(self.last_status):
                self._want("inefficient")

    async def _wait_for_throttle(self) -> None:
        due = self._started_at + self.plist.throttle_interval
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._at_once.wait()

    async def _run(self) -> int:
        self._started_at = asyncio.get_running_loop().time()
        self.runs += 1
        self.process = JobProcess(self.plist)
        if self._spawned is not None:
            self._spawned.set_result(self.process.pid)
            self._spawned = None
        status = await asyncio.shield(self.process.exited)
        self.process = None
        return status

    async def _keep_interval(self, seconds: int) -> None:
        while True:
            await asyncio.sleep(seconds)
            if self.process is None:
                self._want("non-ipc demand")
