"""`softwareupdate`: the schedule, what Apple offers, and fetching and installing it with a volume owner's password.

What it prints tells what happened, its exit code does not: a password that is refused and a label that nobody offers
both end with 0. Progress is told with carriage returns. A Mac that waits for its restart is told so by nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from tests.standin.commands import directory
from tests.standin.commands.boot_state import keep, recall
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply
from tests.standin.macos_releases import RELEASES, STAGED, Release

SCHEDULE = "update-schedule"
"""Memory subject: whether macOS looks for updates by itself."""
FETCHED = "update-fetched"
"""Memory subject: the label of what is downloaded already."""
STEP_SECONDS = "update-step-seconds"
"""Memory subject: how long each tenth of a download takes."""
UNDER_WAY = "softwareupdate"
"""Kept for a boot: how many fetch or install something just now."""
HEAD = "Software Update Tool\n\nFinding available software\n"
NEEDED_BYTES = 20 * 2**30
RESTART_SECONDS = 0.3
PID = 4711


def softwareupdate(mac: Mac, call: Call) -> Reply | Awaitable[Reply]:
    """`-l`, `--schedule [on|off]`, `-d LABEL`, and `-i LABEL -R --user USER --stdinpass`."""
    match call.argv[1:]:
        case ["-l" | "--list"]:
            return _list([RELEASES[version] for version in mac.machine.offered])
        case ["--schedule"]:
            return lines(f"Automatic checking for updates is turned {_word(mac.memory.read(SCHEDULE, True))}")
        case ["--schedule", "on" | "off" as word]:
            if not call.is_root:
                return failure("softwareupdate: must be run as root to change the schedule", 1)
            mac.memory.write(SCHEDULE, word == "on")
            return lines(f"Automatic checking for updates is turned {word}")
        case ["-d" | "--download", label]:
            return _at_work(mac, call, label, None)
        case ["-i" | "--install", label, "-R" | "--restart", "--user", user, "--stdinpass"]:
            return _at_work(mac, call, label, user)
        case _:
            return unsupported(call)


def pgrep(mac: Mac, call: Call) -> Reply:
    """`-x softwareupdate`: its process, if there is one."""
    if call.argv[1:] != ["-x", "softwareupdate"]:
        return unsupported(call)
    return lines(str(PID)) if recall(mac, UNDER_WAY, 0) else Reply(code=1)


def _list(offered: list[Release]) -> Reply:
    if not offered:
        return Reply(stdout=HEAD, stderr="No new software available.\n")
    rows = [
        f"* Label: {each.label}\n\tTitle: {each.title}, Version: {each.version}, Size: {each.size_kib}KiB, "
        "Recommended: YES, Action: restart, \n"
        for each in offered
    ]
    return Reply(stdout=f"{HEAD}Software Update found the following new or updated software:\n{''.join(rows)}")


async def _at_work(mac: Mac, call: Call, label: str, user: str | None) -> Reply:
    if not call.is_root:
        return failure("softwareupdate: must be run as root", 1)
    given = (await asyncio.to_thread(call.stdin.readline)).decode().removesuffix("\n") if user else ""
    release = next((each for each in map(RELEASES.get, mac.machine.offered) if each and each.label == label), None)
    await call.tell(HEAD)
    if release is None:
        return Reply(stdout="No updates are available.\n", stderr=f"{label}: No such update\n")
    if user and not (directory.opens(mac.memory, user, given) and directory.holds_token(mac.memory, user)):
        return Reply(stderr="Failed to authenticate\n")
    keep(mac, UNDER_WAY, recall(mac, UNDER_WAY, 0) + 1)
    try:
        return await _install(mac, call, release) if user else await _fetch(mac, call, release)
    finally:
        keep(mac, UNDER_WAY, recall(mac, UNDER_WAY, 0) - 1)


async def _fetch(mac: Mac, call: Call, release: Release) -> Reply:
    if mac.machine.disk_free_bytes < NEEDED_BYTES:
        return Reply(stdout="Error downloading updates.\n")
    if mac.memory.read(FETCHED, None) != release.label:
        for tenth in range(10):
            await call.tell(f"\rDownloading: {10 * tenth}.00%")
            await _step(mac)
    mac.memory.write(FETCHED, release.label)
    return lines("", f"Downloaded: {release.title}")


async def _step(mac: Mac) -> None:
    """A tenth of a download; how long it takes may be changed while it does."""
    begun = time.monotonic()
    while time.monotonic() - begun < mac.memory.read(STEP_SECONDS, 0.2):  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.05)


async def _install(mac: Mac, call: Call, release: Release) -> Reply:
    fetched = await _fetch(mac, call, release)
    if "Downloaded: " not in fetched.stdout:
        return fetched
    mac.memory.write(FETCHED, None)
    mac.memory.write(STAGED, release.version)
    await call.tell(f"{fetched.stdout}Restarting...\n")
    await asyncio.sleep(RESTART_SECONDS)
    mac.power("reboot")
    return Reply()


def _word(on: bool) -> str:
    return "on" if on else "off"


COMMANDS: dict[str, Command] = {"/usr/sbin/softwareupdate": softwareupdate, "/usr/bin/pgrep": pgrep}
