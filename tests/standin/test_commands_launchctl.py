"""launchctl's words and exit codes, against real jobs; needs root, as launchd does."""

from __future__ import annotations

import asyncio
import os
import plistlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.standin.commands.desk import Desk, until
from tests.standin.mac import Reply

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="launchd loads only files owned by root")

LAUNCHCTL = "/bin/launchctl"
PROBE = "org.halite.live-probe"
LOOP = ["/bin/sh", "-c", "while :; do /bin/sleep 1; done"]
NOT_FOUND = f'Could not find service "{PROBE}" in domain for system\n'
IO_ERROR = "Bootstrap failed: 5: Input/output error\nTry re-running the command as root for richer errors.\n"

PRINTED_AT_REST = """\
system/org.halite.live-probe = {
	active count = 0
	path = PATH
	type = LaunchDaemon
	state = not running

	program = /bin/sh
	arguments = {
		/bin/sh
		-c
		while :; do /bin/sleep 1; done
	}

	default environment = {
		PATH => /usr/bin:/bin:/usr/sbin:/sbin
	}

	environment = {
		XPC_SERVICE_NAME => org.halite.live-probe
	}

	domain = system
	minimum runtime = 10
	exit timeout = 5
	runs = 0
	last exit code = (never exited)

	spawn type = daemon (3)
	jetsam priority = 40
	jetsam memory limit (active) = (unlimited)
	jetsam memory limit (inactive) = (unlimited)
	jetsamproperties category = daemon
	jetsam thread limit = 32
	cpumon = default
	probabilistic guard malloc policy = {
		activation rate = 1/1000
		sample rate = 1/0
	}

	properties = inferred program | system service | tle system
}
"""


class Session:
    """launchctl on a desk Mac, as root unless told otherwise."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.launchd = desk.mac.launchd

    async def __call__(self, *arguments: str, uid: int = 0) -> Reply:
        return await self.desk.ask(LAUNCHCTL, *arguments, uid=uid)

    def plist(self, arguments: list[str] = LOOP, **keys: Any) -> str:
        path = self.launchd.daemons / f"{PROBE}.plist"
        path.write_bytes(plistlib.dumps({"Label": PROBE, "ProgramArguments": arguments, **keys}))
        path.chmod(0o644)
        return str(path)

    async def one_tab_lines(self) -> dict[str, str]:
        """What a careful reader takes from `print`: the lines with exactly one tab."""
        printed = (await self("print", f"system/{PROBE}")).stdout.splitlines()
        pairs = [line.strip().split(" = ", 1) for line in printed if line.startswith("\t") and line[1] != "\t"]
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def in_session(directory: Path, story: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        session = Session(Desk(directory))
        try:
            await story(session)
        finally:
            await session.launchd.stop()

    asyncio.run(run())


def test_print_of_a_job_at_rest_is_the_capture(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        path = launchctl.plist()
        loaded = await launchctl("bootstrap", "system", path)
        printed = await launchctl("print", f"system/{PROBE}", uid=501)

        assert loaded == Reply()
        assert printed == Reply(stdout=PRINTED_AT_REST.replace("PATH\n", f"{path}\n", 1))

    in_session(tmp_path, story)


def test_print_of_a_running_job_tells_its_process_account_and_paths(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        keys = {"UserName": "root", "GroupName": "root", "WorkingDirectory": "/", "StandardOutPath": "/dev/null"}
        path = launchctl.plist(KeepAlive=True, ProcessType="Interactive", ExitTimeOut=120, Umask=23, **keys)
        await launchctl("bootstrap", "system", path)
        pid = (await launchctl("kickstart", "-p", f"system/{PROBE}")).stdout.strip()
        seen = await launchctl.one_tab_lines()

        assert seen["pid"] == pid
        assert (seen["state"], seen["job state"]) == ("running", "running")
        assert (seen["active count"], seen["runs"]) == ("1", "1")
        assert (seen["username"], seen["group"], seen["umask"]) == ("root", "root", "27")
        assert (seen["working directory"], seen["stdout path"]) == ("/", "/dev/null")
        assert (seen["spawn type"], seen["exit timeout"]) == ("interactive (4)", "120")
        assert seen["properties"] == "keepalive | runatload | inferred program | system service | tle system"
        assert seen["last exit code"] == "(never exited)"

    in_session(tmp_path, story)


def test_print_names_a_failed_setup_and_a_signal(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        await launchctl("bootstrap", "system", launchctl.plist(KeepAlive=True, WorkingDirectory="/no/such/place"))
        await until(lambda: launchctl.launchd.job(PROBE).last_status)
        failed = await launchctl.one_tab_lines()
        await launchctl("bootout", f"system/{PROBE}")
        await until(lambda: not launchctl.launchd.jobs)
        await launchctl("bootstrap", "system", launchctl.plist())
        await launchctl("kickstart", f"system/{PROBE}")
        killed = await launchctl("kill", "SIGTERM", f"system/{PROBE}")
        await until(lambda: launchctl.launchd.job(PROBE).last_status)
        ended = await launchctl.one_tab_lines()

        assert (failed["last exit code"], failed["state"]) == ("78: EX_CONFIG", "spawn scheduled")
        assert killed == Reply()
        assert ended["last terminating signal"] == "Terminated: 15"
        assert "last exit code" not in ended

    in_session(tmp_path, story)


def test_an_absent_job(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        target = f"system/{PROBE}"

        assert await launchctl("print", target) == Reply(stderr=f"Bad request.\n{NOT_FOUND}", code=113)
        assert await launchctl("kickstart", "-k", target) == Reply(stderr=NOT_FOUND, code=113)
        assert await launchctl("bootout", target) == Reply(stderr="Boot-out failed: 3: No such process\n", code=3)

    in_session(tmp_path, story)


def test_bootstrap_refuses_a_loaded_a_disabled_and_a_gui_job(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        path = launchctl.plist()
        as_user = await launchctl("bootstrap", "system", path, uid=501)
        await launchctl("bootstrap", "system", path)
        again = await launchctl("bootstrap", "system", path)
        gui = await launchctl("bootstrap", "gui/501", path)
        await launchctl("bootout", f"system/{PROBE}")
        await launchctl("disable", f"system/{PROBE}")
        await until(lambda: not launchctl.launchd.jobs)
        disabled = await launchctl("bootstrap", "system", path)

        assert again == as_user == Reply(stderr=IO_ERROR, code=5)
        assert gui == Reply(stderr="Bootstrap failed: 125: Domain does not support specified action\n", code=125)
        assert disabled == Reply(stderr="Bootstrap failed: 119: Service is disabled\n", code=119)

    in_session(tmp_path, story)


def test_bootout_is_asynchronous(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        ready = tmp_path / "ready"
        stubborn = f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"
        path = launchctl.plist(["/bin/sh", "-c", stubborn], ExitTimeOut=1)
        await launchctl("bootstrap", "system", path)
        await launchctl("kickstart", f"system/{PROBE}")
        await until(ready.exists)
        out = await launchctl("bootout", "system", path)
        await until(lambda: launchctl.launchd.job(PROBE).state == "SIGTERMed")
        printed = await launchctl("print", f"system/{PROBE}")
        again = await launchctl("bootout", f"system/{PROBE}")
        anew = await launchctl("bootstrap", "system", path)

        assert (out, printed.code) == (Reply(), 0)
        assert again == Reply(stderr="Boot-out failed: 36: Operation now in progress\n", code=36)
        assert anew == Reply(stderr=IO_ERROR, code=5)

    in_session(tmp_path, story)


def test_overrides_are_silent_and_listed(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        quiet = await launchctl("disable", "system/no.such.job")

        assert quiet == Reply()
        assert await launchctl("print-disabled", "system") == Reply(
            stdout='disabled services = {\n\t"com.openssh.sshd" => enabled\n\t"no.such.job" => disabled\n}\n'
        )

    in_session(tmp_path, story)


def test_list_shows_the_system_domain_to_root_only(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        await launchctl("bootstrap", "system", launchctl.plist())
        idle = await launchctl("list")
        pid = (await launchctl("kickstart", "-p", f"system/{PROBE}")).stdout.strip()

        assert idle.stdout == f"PID\tStatus\tLabel\n-\t0\tcom.openssh.sshd\n-\t0\t{PROBE}\n"
        assert (await launchctl("list")).stdout == f"PID\tStatus\tLabel\n-\t0\tcom.openssh.sshd\n{pid}\t0\t{PROBE}\n"
        assert (await launchctl("list", uid=501)).stdout == "PID\tStatus\tLabel\n"

    in_session(tmp_path, story)


def test_kill_without_a_process(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        await launchctl("bootstrap", "system", launchctl.plist())

        assert await launchctl("kill", "SIGTERM", f"system/{PROBE}") == Reply(stderr="No process to signal.\n", code=3)

    in_session(tmp_path, story)


def test_load_and_unload_enable_and_disable_and_lie_about_failure(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        path = launchctl.plist()
        await launchctl("disable", f"system/{PROBE}")
        loaded = await launchctl("load", "-w", path)
        again = await launchctl("load", "-w", path)
        unloaded = await launchctl("unload", "-w", path)
        await until(lambda: not launchctl.launchd.jobs)

        assert loaded == unloaded == Reply()
        assert again.stderr.startswith("Load failed: 5: Input/output error\n")
        assert again.code == 0
        assert launchctl.launchd.disabled[PROBE]

    in_session(tmp_path, story)


@pytest.mark.parametrize(
    "arguments", [["bootout", "system/x"], ["kickstart", "system/x"], ["enable", "system/x"], ["disable", "system/x"]]
)
def test_changes_need_root(tmp_path: Path, arguments: list[str]) -> None:
    async def story(launchctl: Session) -> None:
        reply = await launchctl(*arguments, uid=501)

        assert reply.code == 1
        assert reply.stderr.endswith(": 1: Operation not permitted\n")

    in_session(tmp_path, story)


@pytest.mark.parametrize(
    "arguments",
    [[], ["submit", "-l", "x"], ["print", "user/501"], ["bootout", "gui/501/x"], ["kickstart", "-s", "system/x"],
     ["kill", "31", "system/x"], ["list", "x"], ["load", "x"]],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_name(tmp_path: Path, arguments: list[str]) -> None:
    async def story(launchctl: Session) -> None:
        reply = await launchctl(*arguments)

        assert reply.code == 64
        assert "does not know" in reply.stderr

    in_session(tmp_path, story)


def test_print_system_counts_and_lists(tmp_path: Path) -> None:
    async def story(launchctl: Session) -> None:
        await launchctl("bootstrap", "system", launchctl.plist())
        printed = (await launchctl("print", "system")).stdout

        assert "\tservice count = 2\n\tactive service count = 0\n" in printed
        assert f"\t\t       0      - \tcom.openssh.sshd\n\t\t       0      - \t{PROBE}\n\t}}\n" in printed

    in_session(tmp_path, story)
