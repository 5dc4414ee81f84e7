"""Power, updates and preferences: pmset, systemsetup, shutdown, fdesetup, nvram, softwareupdate, defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.standin.commands.desk import Desk
from tests.standin.mac import Reply

PMSET, SYSTEMSETUP, NVRAM = "/usr/bin/pmset", "/usr/sbin/systemsetup", "/usr/sbin/nvram"
SHUTDOWN, REBOOT, FDESETUP = "/sbin/shutdown", "/sbin/reboot", "/usr/bin/fdesetup"
SOFTWAREUPDATE, DEFAULTS = "/usr/sbin/softwareupdate", "/usr/bin/defaults"
HEADLESS = "sleep 0 displaysleep 0 disksleep 0 standby 0 powernap 0 autorestart 1 womp 1 tcpkeepalive 1 ttyskeepawake 1"

CAPTURED = """\
AC Power:
 Sleep On Power Button 1
 lowpowermode         0
 standby              0
 ttyskeepawake        1
 powernap             0
 displaysleep         0
 womp                 1
 networkoversleep     0
 sleep                0
 tcpkeepalive         1
 autorestart          1
 disksleep            0
 SleepServices        0
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def power_settings(desk: Desk) -> dict[str, int]:
    rows = re.findall(r"^\s(.+?)\s+(-?\d+)(?:\s|$)", desk.run(PMSET, "-g", "custom").stdout, re.MULTILINE)
    return {name: int(value) for name, value in rows}


def test_a_headless_mini_is_the_capture(desk: Desk) -> None:
    desk.change(chip="Apple M4")
    done = desk.sudo(PMSET, "-a", *HEADLESS.split())

    assert done == Reply()
    assert desk.run(PMSET, "-g", "custom") == Reply(stdout=CAPTURED)


def test_a_mac_sleeps_from_the_factory_and_remembers_across_a_reboot(desk: Desk) -> None:
    before = power_settings(desk)
    desk.sudo(PMSET, "-a", "sleep", "0", "hibernatemode", "0")
    desk.reboot()
    after = power_settings(desk)

    assert (before["sleep"], before["displaysleep"], before["autorestart"]) == (1, 10, 0)
    assert after == {**before, "sleep": 0}
    assert "powermode" in after


def test_disabling_sleep_shows_system_wide(desk: Desk) -> None:
    plain = desk.run(PMSET, "-g").stdout
    desk.sudo(PMSET, "-a", "disablesleep", "1")

    assert plain.startswith("System-wide power settings:\nCurrently in use:\n")
    assert desk.run(PMSET, "-g").stdout.startswith(
        "System-wide power settings:\n SleepDisabled\t\t1\nCurrently in use:\n"
    )
    assert " sleep                1 (sleep prevented by powerd)\n" in plain


def test_the_thermal_notes_are_the_capture(desk: Desk) -> None:
    assert desk.run(PMSET, "-g", "therm").stdout == (
        "Note: No thermal warning level has been recorded\n"
        "Note: No performance warning level has been recorded\n"
        "Note: No CPU power status has been recorded\n"
    )


def test_pmset_refuses_users_and_unknown_names(desk: Desk) -> None:
    as_user = desk.run(PMSET, "-a", "sleep", "0")
    unknown = desk.sudo(PMSET, "-a", "sleep", "0", "coffee", "1")

    assert as_user == Reply(stderr="'pmset' must be run as root...\n", code=77)
    assert unknown.code == 64
    assert "coffee" in unknown.stderr
    assert power_settings(desk)["sleep"] == 1


def test_systemsetup_without_root_lies_with_0(desk: Desk) -> None:
    assert desk.run(SYSTEMSETUP, "-setrestartfreeze", "on") == Reply(
        stdout="You need administrator access to run this tool... exiting!\n"
    )
    assert desk.sudo(SYSTEMSETUP, "-getrestartfreeze").stdout == "Restart After Freeze: Off\n"


def test_systemsetup_sets_and_gets(desk: Desk) -> None:
    assert desk.sudo(SYSTEMSETUP, "-setrestartfreeze", "on").stdout == "setrestartfreeze: On\n"
    assert desk.sudo(SYSTEMSETUP, "-getrestartfreeze").stdout == "Restart After Freeze: On\n"
    assert desk.sudo(SYSTEMSETUP, "-setcomputersleep", "Never").stdout == "setcomputersleep: Never\n"
    assert desk.sudo(SYSTEMSETUP, "-getcomputersleep").stdout == "Computer Sleep: Never\n"
    assert desk.sudo(SYSTEMSETUP, "-getusingnetworktime").stdout == "Network Time: On\n"
    assert desk.sudo(SYSTEMSETUP, "-getremotelogin").stdout == "Remote Login: On\n"


def test_systemsetup_and_pmset_share_what_happens_after_a_power_failure(desk: Desk) -> None:
    desk.sudo(SYSTEMSETUP, "-setrestartpowerfailure", "on")

    assert power_settings(desk)["autorestart"] == 1
    assert desk.sudo(SYSTEMSETUP, "-getrestartpowerfailure").stdout == "Restart After Power Failure: On\n"


def test_remote_login_cannot_be_switched_over_ssh(desk: Desk) -> None:
    reply = desk.sudo(SYSTEMSETUP, "-f", "-setremotelogin", "on")

    assert reply.code == 0
    assert "requires Full Disk Access privileges" in reply.stdout


def test_only_root_restarts_and_shuts_down(desk: Desk) -> None:
    refused = [desk.run(SHUTDOWN, "-r", "now").code, desk.run(REBOOT).code]
    idle = list(desk.powered)
    for argv in ((SHUTDOWN, "-r", "now"), (SHUTDOWN, "-h", "now"), (REBOOT,)):
        desk.sudo(*argv)

    assert (refused, idle) == ([1, 1], [])
    assert desk.powered == ["reboot", "off", "reboot"]


def test_filevault_is_off_unless_remembered_as_on(desk: Desk) -> None:
    off = desk.run(FDESETUP, "status")
    desk.mac.memory.write("filevault", True)

    assert off == Reply(stdout="FileVault is Off.\n")
    assert desk.run(FDESETUP, "status") == Reply(stdout="FileVault is On.\n")


def test_the_rdma_flag_is_read_from_nvram_and_never_set_from_macos(desk: Desk) -> None:
    on = desk.run(NVRAM, "rdma-enable")
    desk.change(rdma=False)

    assert on == Reply(stdout="rdma-enable\t1\n")
    assert desk.sudo(NVRAM, "rdma-enable=1").code == 1
    assert desk.run(NVRAM, "rdma-enable").code == 1
    assert desk.sudo(NVRAM, "auto-boot=false") == Reply()
    assert desk.run(NVRAM, "auto-boot").stdout == "auto-boot\tfalse\n"
    assert desk.run(NVRAM, "auto-boot=true").code == 1


def test_no_updates_says_so_on_stderr(desk: Desk) -> None:
    assert desk.run(SOFTWAREUPDATE, "-l") == Reply(
        stdout="Software Update Tool\n\nFinding available software\n", stderr="No new software available.\n"
    )


def test_what_is_offered_is_listed_with_a_label_that_ends_with_its_build(desk: Desk) -> None:
    desk.change(offered=("26.7", "27"))

    assert desk.run(SOFTWAREUPDATE, "--list") == Reply(
        stdout="Software Update Tool\n\nFinding available software\n"
        "Software Update found the following new or updated software:\n"
        "* Label: macOS Tahoe 26.7-25G229\n"
        "\tTitle: macOS Tahoe 26.7, Version: 26.7, Size: 3039632KiB, Recommended: YES, Action: restart, \n"
        "* Label: macOS 27-26A428\n"
        "\tTitle: macOS 27, Version: 27, Size: 11727219KiB, Recommended: YES, Action: restart, \n"
    )


def test_the_update_schedule_is_remembered(desk: Desk) -> None:
    off = "Automatic checking for updates is turned off\n"

    assert desk.run(SOFTWAREUPDATE, "--schedule", "off").code == 1
    assert desk.sudo(SOFTWAREUPDATE, "--schedule", "off") == Reply(stdout=off)
    assert desk.run(SOFTWAREUPDATE, "--schedule") == Reply(stdout=off)


def test_defaults_are_written_read_and_deleted_by_path(desk: Desk, tmp_path: Path) -> None:
    domain = str(tmp_path / "Preferences" / "com.apple.SoftwareUpdate")
    missing = desk.run(DEFAULTS, "read", domain, "AutomaticCheckEnabled")
    written = desk.sudo(DEFAULTS, "write", domain, "AutomaticCheckEnabled", "-bool", "false")
    desk.sudo(DEFAULTS, "write", domain, "Networks", "-array", "10.0.0.0/8")
    desk.sudo(DEFAULTS, "write", domain, "Days", "-int", "7")

    assert missing.code == 1
    assert f"\nThe domain/default pair of ({domain}, AutomaticCheckEnabled) does not exist\n" in missing.stderr
    assert written == Reply()
    assert desk.run(DEFAULTS, "read", domain, "AutomaticCheckEnabled") == Reply(stdout="0\n")
    assert desk.run(DEFAULTS, "read", domain, "Networks") == Reply(stdout='(\n    "10.0.0.0/8"\n)\n')
    assert desk.run(DEFAULTS, "read", domain, "Days") == Reply(stdout="7\n")
    networks = '    Networks =     (\n        "10.0.0.0/8"\n    );\n'
    assert desk.run(DEFAULTS, "read", domain) == Reply(
        stdout=f"{{\n    AutomaticCheckEnabled = 0;\n    Days = 7;\n{networks}}}\n"
    )
    assert f"\nDomain {domain}2 does not exist\n" in desk.run(DEFAULTS, "read", f"{domain}2").stderr
    assert desk.sudo(DEFAULTS, "delete", domain, "Days") == Reply()
    assert desk.run(DEFAULTS, "read", domain, "Days").code == 1


def test_defaults_of_the_whole_mac_need_root(desk: Desk, tmp_path: Path) -> None:
    domain = str(tmp_path / "com.apple.commerce")
    tmp_path.chmod(0o755)
    reply = desk.run(DEFAULTS, "write", domain, "AutoUpdate", "-bool", "false", uid=12345)

    assert reply.code == 1
    assert "Could not write domain" in reply.stderr


@pytest.mark.parametrize(
    "argv",
    [
        (PMSET, "-g", "assertions"),
        (PMSET, "-a", "sleep"),
        (PMSET, "-b", "sleep", "0"),
        (SYSTEMSETUP, "-gettimezone"),
        (SHUTDOWN, "-r", "+5"),
        (FDESETUP, "enable"),
        (NVRAM, "-c"),
        (SOFTWAREUPDATE, "-i", "-a"),
        (SOFTWAREUPDATE, "--install", "macOS Tahoe 26.4-25E246", "--user", "admin", "--stdinpass"),
        ("/usr/bin/pgrep", "launchd"),
        ("/usr/sbin/diskutil", "list"),
        (DEFAULTS, "write", "com.apple.dock"),
        (DEFAULTS, "write", "/tmp/x", "Key", "-dict", "a"),
        (DEFAULTS, "write", "/tmp/x", "Key", "-bool", "maybe"),
    ],
)
def test_what_is_not_known_is_refused_by_name(desk: Desk, argv: tuple[str, ...]) -> None:
    reply = desk.sudo(*argv)

    assert reply.code == 64
    assert "does not know" in reply.stderr
