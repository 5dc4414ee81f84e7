"""Disk, clock, names and what macOS does in the background; Remote Login's own job; a wedged RDMA driver."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.standin.commands.boot_state import keep
from tests.standin.commands.desk import Desk
from tests.standin.commands.rdma import WEDGED
from tests.standin.mac import Reply

DF, DATE, SCUTIL = "/bin/df", "/bin/date", "/usr/sbin/scutil"
MDUTIL, TMUTIL, DEFAULTS = "/usr/bin/mdutil", "/usr/bin/tmutil", "/usr/bin/defaults"
HEADER = "Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on"
LAUNCHCTL, DEVINFO, DEVICES = "/bin/launchctl", "/usr/bin/ibv_devinfo", "/usr/bin/ibv_devices"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_free_space_is_the_hardwares_less_what_is_written(desk: Desk) -> None:
    def available() -> int:
        return int(desk.run(DF, "-k", "/").stdout.splitlines()[1].split()[3])

    before = available()
    desk.change(disk_free_bytes=0)
    header, row = desk.run(DF, "-k", "/").stdout.splitlines()

    assert before > 1 << 30
    assert header.split() == HEADER.split()
    assert (row.split()[0], row.split()[3], row.split()[-1]) == ("/dev/disk3s1s1", "0", "/")


def test_a_missing_path_costs_the_exit_code_and_no_row(desk: Desk) -> None:
    reply = desk.run(DF, "-k", "/no/such", "/")

    assert (reply.code, reply.stderr) == (1, "df: /no/such: No such file or directory\n")
    assert len(reply.stdout.splitlines()) == 2


def test_the_clock_can_be_ahead(desk: Desk) -> None:
    desk.change(clock_offset_seconds=90)
    shown = int(desk.run(DATE, "-u", "+%s").stdout)

    assert 85 < shown - time.time() <= 90
    assert desk.run(DATE, "+%Y").stdout.strip().isdigit()


def test_names_are_set_by_root_and_hostname_is_unset_at_first(desk: Desk) -> None:
    unset = desk.run(SCUTIL, "--get", "HostName")
    refused = desk.run(SCUTIL, "--set", "HostName", "studio-1")
    desk.sudo(SCUTIL, "--set", "HostName", "studio-1")

    assert unset == Reply(stderr="HostName: not set\n", code=1)
    assert refused.code == 1
    assert desk.run(SCUTIL, "--get", "HostName").stdout == "studio-1\n"
    assert desk.run(SCUTIL, "--get", "LocalHostName").stdout == "mac-1\n"


def test_spotlight_is_switched_off_for_every_volume(desk: Desk) -> None:
    on = desk.run(MDUTIL, "-s", "/").stdout
    off = desk.sudo(MDUTIL, "-a", "-i", "off").stdout

    assert on == "/:\n\tIndexing enabled. \n"
    assert off == "/:\n\tIndexing disabled.\n/System/Volumes/Data:\n\tIndexing disabled.\n"
    assert desk.run(MDUTIL, "-s", "/").stdout == "/:\n\tIndexing disabled.\n"
    assert desk.run(MDUTIL, "-a", "-i", "on").code == 1


def test_time_machine_says_nothing(desk: Desk) -> None:
    assert desk.sudo(TMUTIL, "disable") == Reply()
    assert desk.run(TMUTIL, "disable").code != 0


def test_deleting_a_preference_that_is_not_there_is_an_error(desk: Desk, tmp_path: Path) -> None:
    domain = str(tmp_path / "com.apple.commerce")
    desk.sudo(DEFAULTS, "write", domain, "AutoUpdate", "-bool", "true")
    reply = desk.sudo(DEFAULTS, "delete", domain, "Other")

    assert reply.code == 1
    assert reply.stderr.endswith(f"\nDomain ({domain}) not found.\nDefaults have not been changed.\n")


def test_remote_login_is_a_job_of_macos_and_stays_loaded_until_a_boot_finds_it_disabled(
    desk: Desk, tmp_path: Path
) -> None:
    async def story(desk: Desk) -> str:
        shown = await desk.ask(LAUNCHCTL, "print", "system/com.openssh.sshd")
        await desk.ask(LAUNCHCTL, "disable", "system/com.openssh.sshd", uid=0)
        return shown.stdout + str((await desk.ask(LAUNCHCTL, "print", "system/com.openssh.sshd")).code)

    shown = asyncio.run(story(desk))
    next_boot = asyncio.run(story(Desk(tmp_path)))

    assert shown.endswith("}\n0")
    assert "\tpath = /System/Library/LaunchDaemons/ssh.plist\n\ttype = LaunchDaemon\n\tstate = not running\n" in shown
    assert next_boot == "113"


def test_a_wedged_driver_hangs_ibv_devinfo_and_nothing_else(desk: Desk) -> None:
    async def story() -> bool:
        asked = asyncio.ensure_future(desk.ask(DEVINFO))
        others = await desk.ask(DEVICES)
        asked_is_over = asked.done()
        asked.cancel()
        return asked_is_over or "rdma_en2" not in others.stdout

    keep(desk.mac, WEDGED, True)
    hung = not asyncio.run(story())
    desk.reboot()

    assert hung
    assert "rdma_en2" in desk.run(DEVINFO).stdout
