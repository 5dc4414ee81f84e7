"""launchd on this machine, with real processes and a directory of its own; needs root to own plists as root does."""

from __future__ import annotations

import asyncio
import os
import plistlib
import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.standin.commands.desk import until
from tests.standin.launchd import Launchd
from tests.standin.launchd_plist import LaunchdError
from tests.standin.mac import Memory

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="launchd sets users and loads only files owned by root")

SLEEP = ["/bin/sleep", "60"]


class Bench:
    """A launchd over a temporary directory, with ways to wait for what it does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.memory = Memory(directory / "memory")
        self.daemons = directory / "LaunchDaemons"
        self.daemons.mkdir(exist_ok=True)
        self.launchd = Launchd(self.memory, self.daemons)

    def plist(self, label: str = "test.job", arguments: list[str] = SLEEP, **keys: Any) -> Path:
        path = self.daemons / f"{label}.plist"
        path.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": arguments, **keys}))
        path.chmod(0o644)
        return path

    def shell(self, script: str, **keys: Any) -> Path:
        return self.plist(arguments=["/bin/sh", "-c", script], **keys)

    async def until_exited(self, label: str = "test.job", runs: int = 1) -> None:
        job = self.launchd.job(label)
        await until(lambda: job.runs >= runs and job.process is None and job.last_status is not None)


def on_bench(directory: Path, story: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a story against a launchd of its own, and leave no process behind."""

    async def run() -> None:
        bench = Bench(directory)
        try:
            await story(bench)
        finally:
            await bench.launchd.stop()

    asyncio.run(run())


def write(path: Path, **keys: Any) -> None:
    path.write_bytes(plistlib.dumps(keys))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_boot_loads_every_sound_and_enabled_plist_and_starts_those_that_ask(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.plist("a.eager", RunAtLoad=True)
        bench.plist("b.waiting")
        bench.plist("c.disabled", RunAtLoad=True)
        bench.plist("d.writable", RunAtLoad=True).chmod(0o664)
        bench.launchd.set_disabled("c.disabled", True)
        await bench.launchd.start()
        await until(lambda: bench.launchd.job("a.eager").process)

        assert sorted(bench.launchd.jobs) == ["a.eager", "b.waiting"]
        assert bench.launchd.job("b.waiting").state == "not running"

    on_bench(tmp_path, story)


def test_stop_ends_every_process(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        job = bench.launchd.bootstrap(bench.plist(RunAtLoad=True))
        await until(lambda: job.process)
        assert job.process is not None
        pid = job.process.pid
        await bench.launchd.stop()

        assert not alive(pid)

    on_bench(tmp_path, story)


def test_a_job_gets_its_own_environment_and_nothing_else(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        out = tmp_path / "environment"
        path = bench.plist(
            arguments=["/usr/bin/env"], RunAtLoad=True, EnvironmentVariables={"A": "b"}, StandardOutPath=str(out)
        )
        bench.launchd.bootstrap(path)
        await bench.until_exited()

        assert sorted(out.read_text().split()) == [
            "A=b", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "XPC_SERVICE_NAME=test.job",
        ]  # fmt: skip

    on_bench(tmp_path, story)


def test_a_job_runs_as_its_user_in_its_directory_with_its_limits(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:  # one more where tests have several workers
        if parent != Path(tempfile.gettempdir()):
            parent.chmod(0o755)

    async def story(bench: Bench) -> None:
        out = tmp_path / "out"
        limits = {"NumberOfFiles": 1234}
        path = bench.shell(
            "id -un; id -gn; pwd; ulimit -n; umask; echo wrong >&2",
            RunAtLoad=True,
            UserName="nobody",
            GroupName="daemon",
            WorkingDirectory="/usr",
            SoftResourceLimits=limits,
            HardResourceLimits=limits,
            Umask=23,
            StandardOutPath=str(out),
            StandardErrorPath=str(tmp_path / "err"),
        )
        bench.launchd.bootstrap(path)
        await bench.until_exited()

        assert out.read_text().split() == ["nobody", "daemon", "/usr", "1234", "0027"]
        assert (tmp_path / "err").read_text() == "wrong\n"
        assert out.owner() == "nobody"

    on_bench(tmp_path, story)


def test_a_job_without_limits_may_open_256_files(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        out = tmp_path / "out"
        bench.launchd.bootstrap(bench.shell("ulimit -Sn", RunAtLoad=True, StandardOutPath=str(out)))
        await bench.until_exited()

        assert out.read_text() == "256\n"

    on_bench(tmp_path, story)


@pytest.mark.parametrize(
    "keys",
    [
        {"UserName": "nobody", "StandardOutPath": "/root/forbidden"},
        {"UserName": "no.such.user"},
        {"WorkingDirectory": "/no/such/directory"},
        {"Program": "/no/such/program"},
    ],
)
def test_a_job_that_cannot_be_set_up_exits_78(tmp_path: Path, keys: dict[str, str]) -> None:
    async def story(bench: Bench) -> None:
        bench.launchd.bootstrap(bench.plist(RunAtLoad=True, **keys))
        await bench.until_exited()

        assert bench.launchd.job("test.job").last_status == 78
        assert bench.launchd.job("test.job").job_state == "spawn failed"

    on_bench(tmp_path, story)


def test_keepalive_starts_again_only_once_the_throttle_interval_is_over(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        job = bench.launchd.bootstrap(bench.shell("exit 3", KeepAlive=True, ThrottleInterval=1))
        await bench.until_exited()
        began = loop.time()
        state = job.state
        await until(lambda: job.runs == 2)

        assert state == "spawn scheduled"
        assert job.last_status == 3
        assert 0.5 < loop.time() - began < 2

    on_bench(tmp_path, story)


@pytest.mark.parametrize(("wanted", "script", "again"), [(False, "exit 1", True), (False, "exit 0", False),
                                                          (True, "exit 0", True), (True, "exit 1", False)])  # fmt: skip
def test_keepalive_on_successful_exit_looks_at_the_exit(tmp_path: Path, wanted: bool, script: str, again: bool) -> None:
    async def story(bench: Bench) -> None:
        bench.launchd.bootstrap(bench.shell(script, KeepAlive={"SuccessfulExit": wanted}, ThrottleInterval=1))
        await bench.until_exited()

        assert (bench.launchd.job("test.job").state == "spawn scheduled") == again

    on_bench(tmp_path, story)


def test_kickstart_does_not_wait_for_the_throttle(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        job = bench.launchd.bootstrap(bench.plist(RunAtLoad=True, KeepAlive=True))
        await until(lambda: job.process)
        assert job.process is not None
        first = job.process.pid
        second = await asyncio.wait_for(job.kickstart(kill=True), 3)

        assert second != first
        assert alive(second)
        assert not alive(first)
        assert await job.kickstart(kill=False) == second
        assert job.runs == 2

    on_bench(tmp_path, story)


def test_start_interval_runs_a_job_again_and_again(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        job = bench.launchd.bootstrap(bench.shell("exit 0", StartInterval=1, ThrottleInterval=1))
        runs_at_load = job.runs
        await until(lambda: job.runs == 2)

        assert runs_at_load == 0

    on_bench(tmp_path, story)


def test_bootout_returns_at_once_and_the_label_is_taken_until_the_process_ends(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        ready = tmp_path / "ready"
        path = bench.shell(
            f"trap 'sleep 0.3; exit 0' TERM; touch {ready}; while :; do sleep 0.05; done", RunAtLoad=True
        )
        job = bench.launchd.bootstrap(path)
        await until(ready.exists)
        bench.launchd.bootout("test.job")
        await until(lambda: job.state == "SIGTERMed")
        with pytest.raises(LaunchdError) as again:
            bench.launchd.bootout("test.job")
        with pytest.raises(LaunchdError) as anew:
            bench.launchd.bootstrap(path)
        await until(lambda: not bench.launchd.jobs)
        with pytest.raises(LaunchdError) as gone:
            bench.launchd.bootout("test.job")

        assert [again.value.code, anew.value.code, gone.value.code] == [36, 5, 3]
        assert bench.launchd.bootstrap(path).runs == 0

    on_bench(tmp_path, story)


@pytest.mark.parametrize(("exit_timeout", "killed"), [(1, True), (0, False)])
def test_exit_timeout_ends_in_sigkill_unless_it_is_zero(tmp_path: Path, exit_timeout: int, killed: bool) -> None:
    async def story(bench: Bench) -> None:
        ready = tmp_path / "ready"
        path = bench.shell(f"trap '' TERM; touch {ready}; sleep 1.5", RunAtLoad=True, ExitTimeOut=exit_timeout)
        job = bench.launchd.bootstrap(path)
        await until(ready.exists)
        assert job.process is not None
        exited = job.process.exited
        bench.launchd.bootout("test.job")
        await until(lambda: not bench.launchd.jobs)

        assert (exited.result() == -signal.SIGKILL) == killed

    on_bench(tmp_path, story)


@pytest.mark.parametrize("abandon", [False, True])
def test_children_end_with_their_job_unless_the_group_is_abandoned(tmp_path: Path, abandon: bool) -> None:
    async def story(bench: Bench) -> None:
        child = tmp_path / "child"
        script = f"sleep 60 & echo $! > {child}.new; mv {child}.new {child}"
        bench.launchd.bootstrap(bench.shell(script, RunAtLoad=True, AbandonProcessGroup=abandon))
        await bench.until_exited()
        pid = int(child.read_text())
        try:
            if not abandon:
                await until(lambda: not running(pid))

            assert running(pid) == abandon
        finally:
            if abandon:
                os.kill(pid, signal.SIGKILL)

    on_bench(tmp_path, story)


def running(pid: int) -> bool:
    """Whether a process that is nobody's child here still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_changed_plist_counts_only_after_the_next_bootstrap(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        job = bench.launchd.bootstrap(bench.plist())
        bench.plist(arguments=["/bin/true"])

        assert job.plist.arguments == SLEEP
        assert bench.launchd.job("test.job").plist.arguments == SLEEP

    on_bench(tmp_path, story)


def test_disabling_is_remembered_and_refuses_bootstrap(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        path = bench.plist()
        bench.launchd.set_disabled("test.job", True)
        with pytest.raises(LaunchdError) as refused:
            Launchd(bench.memory, bench.daemons).bootstrap(path)
        bench.launchd.set_disabled("test.job", False)
        bench.launchd.bootstrap(path)

        assert refused.value.code == 119

    on_bench(tmp_path, story)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda path: path.chmod(0o666), "ownership"),
        (lambda path: os.chown(path, 0, 20), "ownership"),
        (lambda path: os.chown(path, 501, 0), "ownership"),
        (lambda path: path.write_text("not a plist"), "not a property list"),
        (lambda path: write(path, Label="x"), "Program"),
        (lambda path: write(path, Label="x", Program="/x", Nice="y"), "wrong type"),
        (lambda path: write(path, Label="x", Program="/x", Sockets={}), "Sockets"),
        (lambda path: write(path, Label="x", Program="/x", SoftResourceLimits=[]), "wrong type"),
        (lambda path: write(path, Label="x", Program="/x", KeepAlive={"PathState": {}}), "PathState"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_bootstrap_refuses_a_faulty_file_with_5(tmp_path: Path, fault: Callable[[Path], object], named: str) -> None:
    async def story(bench: Bench) -> None:
        path = bench.plist()
        fault(path)
        with pytest.raises(LaunchdError, match=named) as refused:
            bench.launchd.bootstrap(path)

        assert refused.value.code == 5

    on_bench(tmp_path, story)


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.launchd.bootstrap(bench.plist(NoSuchKey=1, LowPriorityIO=True))

        assert list(bench.launchd.jobs) == ["test.job"]

    on_bench(tmp_path, story)
