"""The small reads, and plutil."""

from __future__ import annotations

import json
import os
import plistlib
import re
from pathlib import Path

import pytest

from tests.standin.commands.boot_state import keep
from tests.standin.commands.desk import Desk
from tests.standin.mac import Reply

PLUTIL, FIREWALL = "/usr/bin/plutil", "/usr/libexec/ApplicationFirewall/socketfilterfw"
IOCLASSCOUNT = "/usr/sbin/ioclasscount"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def plist(tmp_path: Path) -> Path:
    path = tmp_path / "job.plist"
    path.write_bytes(plistlib.dumps({"Label": "x", "KeepAlive": {"SuccessfulExit": False}, "Args": ["a", "b"]}))
    return path


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["/usr/bin/csrutil", "status"], "System Integrity Protection status: enabled.\n"),
        (["/usr/bin/profiles", "status", "-type", "enrollment"], "Enrolled via DEP: No\nMDM enrollment: No\n"),
        ([FIREWALL, "--getglobalstate"], "Firewall is disabled. (State = 0)\n"),
        ([IOCLASSCOUNT, "AppleThunderboltRDMAQueuePair"], "AppleThunderboltRDMAQueuePair = 0\n"),
    ],
)
def test_captured_reads(desk: Desk, argv: list[str], words: str) -> None:
    assert desk.run(*argv) == Reply(stdout=words)


@pytest.mark.parametrize("tool", ["python3", "git"])
def test_developer_tools_are_stubs_that_fail(desk: Desk, tool: str) -> None:
    reply = desk.run(f"/usr/bin/{tool}", "--version")

    assert reply.code == 1
    assert reply.stderr.startswith("xcode-select: note: No developer tools were found, requesting install.\n")
    assert desk.run("/usr/bin/xcode-select", "-p").code == 2


def test_memory_pressure_is_the_capture(desk: Desk) -> None:
    desk.change(memory_bytes=17179869184)

    assert desk.run("/usr/bin/memory_pressure", "-Q").stdout == (
        "The system has 17179869184 (1048576 pages with a page size of 16384).\n"
        "System-wide memory free percentage: 81%\n"
    )


def test_vm_stat_parses_and_lines_up(desk: Desk) -> None:
    header, *rows = desk.run("/usr/bin/vm_stat").stdout.splitlines()

    assert header == "Mach Virtual Memory Statistics: (page size of 16384 bytes)"
    assert all(re.match(r"^(.+?):\s+(\d+)\.$", row) for row in rows)
    assert {len(row) for row in rows} == {len("Pages free:                                  9563156.")}


def test_the_application_firewall_is_switched_by_root(desk: Desk) -> None:
    refused = desk.run(FIREWALL, "--setglobalstate", "on")
    on = desk.sudo(FIREWALL, "--setglobalstate", "on")

    assert refused.code == 1
    assert on == desk.run(FIREWALL, "--getglobalstate") == Reply(stdout="Firewall is enabled. (State = 1)\n")


def test_kernel_objects_are_gone_after_a_reboot(desk: Desk) -> None:
    domain = "AppleThunderboltRDMAProtectionDomain"
    keep(desk.mac, "kernel-objects", {domain: 11})
    leaked = desk.run(IOCLASSCOUNT, domain).stdout
    desk.reboot()

    assert leaked == f"{domain} = 11\n"
    assert desk.run(IOCLASSCOUNT, domain).stdout == f"{domain} = 0\n"


def test_plutil_lint_says_ok_or_why_not(desk: Desk, plist: Path) -> None:
    good = desk.sudo(PLUTIL, "-lint", str(plist))
    plist.write_text("<plist><dict>")
    bad = desk.sudo(PLUTIL, str(plist))

    assert good == Reply(stdout=f"{plist}: OK\n")
    assert bad.code == 1
    assert bad.stdout.startswith(f"{plist}: (Property List error: ")


def test_plutil_extracts_one_value(desk: Desk, plist: Path) -> None:
    def extract(keys: str, form: str) -> str:
        return desk.sudo(PLUTIL, "-extract", keys, form, "-o", "-", str(plist)).stdout

    assert extract("Label", "raw") == "x\n"
    assert extract("KeepAlive.SuccessfulExit", "raw") == "false\n"
    assert extract("Args", "raw") == "2\n"
    assert extract("Args.1", "raw") == "b\n"
    assert extract("Args", "json") == '["a","b"]'
    assert desk.sudo(PLUTIL, "-extract", "Nothing", "raw", "-o", "-", str(plist)).code == 1


def test_plutil_converts_to_standard_output_and_in_place(desk: Desk, plist: Path) -> None:
    shown = desk.sudo(PLUTIL, "-convert", "json", "-o", "-", str(plist)).stdout
    done = desk.run(PLUTIL, "-convert", "binary1", str(plist), uid=os.getuid())

    assert json.loads(shown)["Label"] == "x"
    assert done == Reply()
    assert plist.read_bytes().startswith(b"bplist00")


def test_plutil_reads_only_what_its_caller_may(desk: Desk, plist: Path) -> None:
    plist.chmod(0o600)

    assert desk.run(PLUTIL, "-lint", str(plist), uid=12345).code == 1


@pytest.mark.parametrize(
    "argv",
    [
        ("/usr/bin/csrutil", "disable"),
        (PLUTIL, "-lint", "relative.plist"),
        (PLUTIL, "-replace", "x"),
        (FIREWALL, "--add", "/x"),
        (IOCLASSCOUNT,),
        ("/usr/bin/vm_stat", "1"),
        ("/usr/bin/memory_pressure",),
        ("/usr/bin/xcode-select", "--install"),
        ("/usr/bin/profiles", "list"),
    ],
)
def test_what_is_not_known_is_refused_by_name(desk: Desk, argv: tuple[str, ...]) -> None:
    reply = desk.sudo(*argv)

    assert reply.code == 64
    assert "does not know" in reply.stderr
