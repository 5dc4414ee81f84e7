from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from tests.standin.conftest import Outcome, Remote, wait_for
from tests.standin.lab import Lab

pytestmark = pytest.mark.lab


def processes_named(lab: Lab, word: str) -> list[str]:
    """Command lines on mac-1 with this word, seen from the Linux machine."""
    lines = []
    for entry in (lab.root("mac-1") / "proc").iterdir():
        if entry.name.isdigit():
            try:
                lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while the list was read
    return [line for line in lines if word in line]


def test_a_command_runs_as_admin_at_home_with_macos_path(mac_1: Remote) -> None:
    outcome = mac_1.run('id -un; id -gn; pwd; echo "$PATH:$HOME:$USER"')

    assert outcome.stdout.splitlines() == [
        "admin",
        "staff",
        "/Users/admin",
        "/usr/bin:/bin:/usr/sbin:/sbin:/Users/admin:admin",
    ]


@pytest.mark.parametrize("name", ["root", "nosuchuser", "nobody"])
def test_nobody_else_gets_in(lab: Lab, name: str) -> None:
    client = paramiko.SSHClient()
    client.load_host_keys(str(lab.known_hosts))
    address = lab.machine("mac-1").address

    with pytest.raises(paramiko.AuthenticationException):
        client.connect(address, username=name, key_filename=str(lab.key), look_for_keys=False, allow_agent=False)
    client.close()


def test_the_exit_code_and_both_streams_come_back(mac_1: Remote) -> None:
    assert mac_1.run("echo out; echo err >&2; exit 7") == Outcome(7, "out\n", "err\n")


def test_all_output_arrives_before_the_exit_code(mac_1: Remote) -> None:
    outcome = mac_1.run("seq 1 200000; exit 3")

    assert outcome.stdout.splitlines()[-1] == "200000"
    assert outcome.code == 3


def test_standard_input_reaches_the_command_and_ends(mac_1: Remote) -> None:
    assert mac_1.run("tr a-z A-Z", stdin="typed\n").stdout == "TYPED\n"


def test_a_command_that_ignores_its_standard_input_is_not_disturbed(mac_1: Remote) -> None:
    assert mac_1.run("echo done", stdin="x" * 100_000) == Outcome(0, "done\n", "")


def test_a_death_by_signal_is_reported_as_one(mac_1: Remote) -> None:
    assert mac_1.run("kill -KILL $$").code == -1


def test_a_lost_connection_ends_its_command_but_not_what_left_the_session(
    lab: Lab, connect: Callable[[str], Remote]
) -> None:
    leaving = connect("mac-1")
    leave = 'import os; print(os.getpid()); os.setsid(); os.execvp("sleep", ["sleep", "4243"])'
    leaves = f"/usr/local/bin/python3 -uc '{leave}'"
    leaving.client.exec_command(f"{leaves} </dev/null >left 2>&1 & sleep 4242")
    # The shell and its sleep; and the one that left, which is a sleep only once it has left.
    assert wait_for(lambda: {"sleep 4242 ", "sleep 4243 "}.issubset(processes_named(lab, "sleep 424")))

    leaving.close()

    assert wait_for(lambda: not processes_named(lab, "sleep 4242"))
    assert processes_named(lab, "sleep 4243") == ["sleep 4243 "]
    assert connect("mac-1").run("kill $(cat left) && rm left").code == 0


def test_files_go_both_ways_whole(mac_1: Remote, tmp_path: Path) -> None:
    sent, returned = tmp_path / "sent", tmp_path / "returned"
    sent.write_bytes(os.urandom(20_000_000))

    with mac_1.client.open_sftp() as sftp:
        sftp.put(str(sent), "sent")
        sftp.get("/Users/admin/sent", str(returned))
        owner = sftp.stat("sent")
        sftp.remove("sent")

    assert returned.read_bytes() == sent.read_bytes()
    assert (owner.st_uid, owner.st_gid) == (501, 20)


def test_sftp_has_no_more_rights_than_admin(mac_1: Remote) -> None:
    with mac_1.client.open_sftp() as sftp:
        for attempt in (
            lambda: sftp.open("/Library/LaunchDaemons/x.plist", "w"),
            lambda: sftp.open("/etc/ssh/ssh_host_ed25519_key"),
            lambda: sftp.listdir("/var/root"),
            lambda: sftp.chmod("/etc/hosts", 0o666),
            lambda: sftp.remove("/etc/hosts"),
        ):
            with pytest.raises(OSError, match=r"[Pp]ermission denied|not permitted"):
                attempt()
