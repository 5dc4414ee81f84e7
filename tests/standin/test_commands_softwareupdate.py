"""Another macOS: fetched, installed with a volume owner's password, and staged for the restart; or not, in silence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.standin.commands import COMMANDS, directory
from tests.standin.commands.desk import STUDIO, Desk, until
from tests.standin.commands.directory import ADMIN_PASSWORD
from tests.standin.mac import Call, Reply
from tests.standin.macos_releases import STAGED, installed

SOFTWAREUPDATE, PGREP, DISKUTIL = "/usr/sbin/softwareupdate", "/usr/bin/pgrep", "/usr/sbin/diskutil"
LABEL = "macOS Tahoe 26.4-25E246"
INSTALL = ("--install", LABEL, "--restart", "--user", "admin", "--stdinpass")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.change(offered=("26.4",))
    desk.mac.memory.write("update-step-seconds", 0)
    return desk


def called(desk: Desk, *arguments: str, password: str = ADMIN_PASSWORD, uid: int = 0) -> tuple[str, Reply]:
    """What it told while it went on, and its reply."""
    told: list[str] = []

    class Typed:
        def readline(self) -> bytes:
            return f"{password}\n".encode()

    async def listen(text: str) -> None:
        told.append(text)

    async def run() -> Reply:
        call = Call([SOFTWAREUPDATE, *arguments], uid, Typed(), tell=listen)  # type: ignore[arg-type]
        return await COMMANDS[SOFTWAREUPDATE](desk.mac, call)  # type: ignore[misc]

    reply = asyncio.run(run())
    return "".join(told), reply


def test_the_owners_password_stages_it_and_restarts_the_mac(desk: Desk) -> None:
    told, reply = called(desk, *INSTALL)

    assert told.startswith("Software Update Tool\n\nFinding available software\n\rDownloading: 0.00%\rDownloading: 10")
    assert told.endswith("\nDownloaded: macOS Tahoe 26.4\nRestarting...\n")
    assert (reply.code, desk.powered, desk.mac.memory.read(STAGED, None)) == (0, ["reboot"], "26.4")


def test_what_was_fetched_is_not_fetched_again(desk: Desk) -> None:
    fetched, reply = called(desk, "--download", LABEL)
    told, _ = called(desk, *INSTALL)

    assert (fetched.count("Downloading"), told.count("Downloading")) == (10, 0)
    assert reply == Reply(stdout="\nDownloaded: macOS Tahoe 26.4\n")
    assert desk.powered == ["reboot"]


@pytest.mark.parametrize(
    ("arguments", "password", "said"),
    [
        (INSTALL, "wrong", "Failed to authenticate"),
        (INSTALL, "", "Failed to authenticate"),
        (
            ("--install", LABEL, "--restart", "--user", "nobody", "--stdinpass"),
            ADMIN_PASSWORD,
            "Failed to authenticate",
        ),
        (("--install", "macOS 26.4", *INSTALL[2:]), ADMIN_PASSWORD, "macOS 26.4: No such update"),
        (("--download", "macOS Tahoe 26.7-25G229"), ADMIN_PASSWORD, "No such update"),
    ],
)
def test_what_it_refuses_it_refuses_with_0_and_nothing_restarts(
    desk: Desk, arguments: tuple[str, ...], password: str, said: str
) -> None:
    _, reply = called(desk, *arguments, password=password)

    assert reply.code == 0
    assert said in reply.stderr
    assert (desk.powered, desk.mac.memory.read(STAGED, None)) == ([], None)


def test_an_owner_without_a_token_is_refused_whatever_the_password(desk: Desk) -> None:
    desk.sudo("/usr/bin/dscl", ".", "-create", "/Users/guest")
    desk.mac.memory.write("passwords", {"guest": "sesame"})
    _, reply = called(desk, "-i", LABEL, "-R", "--user", "guest", "--stdinpass", password="sesame")

    assert directory.opens(desk.mac.memory, "guest", "sesame")
    assert "Failed to authenticate" in reply.stderr


def test_a_full_disk_ends_a_download(desk: Desk) -> None:
    desk.change(disk_free_bytes=1)

    assert called(desk, *INSTALL)[1] == Reply(stdout="Error downloading updates.\n")
    assert desk.powered == []


def test_only_root_may(desk: Desk) -> None:
    assert called(desk, *INSTALL, uid=501)[1].code == 1


def test_its_process_is_there_while_it_is_at_work(desk: Desk) -> None:
    async def run() -> tuple[Reply, Reply]:
        desk.mac.memory.write("update-step-seconds", 0.05)
        work = asyncio.create_task(desk.ask(SOFTWAREUPDATE, "--download", LABEL, uid=0))
        await until(lambda: desk.run(PGREP, "-x", "softwareupdate").code == 0)
        during = desk.run(PGREP, "-x", "softwareupdate")
        await work
        return during, desk.run(PGREP, "-x", "softwareupdate")

    during, after = asyncio.run(run())

    assert during.stdout.strip().isdigit()
    assert after == Reply(code=1)


def test_the_owners_of_the_volume_are_told_by_their_numbers(desk: Desk) -> None:
    admin = directory.generated_uid("Users", "admin")
    desk.mac.memory.write("filevault", True)

    assert desk.run(DISKUTIL, "apfs", "listUsers", "/").stdout == (
        "Cryptographic users for disk3s1s1 (2 found)\n|\n"
        f"+-- {admin}\n|   Type: Local Open Directory User\n|   Volume Owner: Yes\n|\n"
        "+-- EBC6C064-0000-11AA-AA11-00306543ECAC\n    Type: Personal Recovery User\n    Volume Owner: Yes\n\n"
    )


def test_it_is_on_mains(desk: Desk) -> None:
    assert desk.run("/usr/bin/pmset", "-g", "batt") == Reply(stdout="Now drawing from 'AC Power'\n")


def test_a_restart_installs_what_is_staged_undoes_it_or_takes_rdma_along() -> None:
    well = installed(STUDIO, "26.4")

    assert (well.macos, well.build, well.rdma, well.offered) == ("26.4", "25E246", True, ())
    assert installed(STUDIO, "27").macos == "27.0"
    assert installed(replace(STUDIO, update_ends="as before"), "26.4").build == "25D125"
    assert installed(replace(STUDIO, update_ends="without rdma"), "26.4") == replace(
        STUDIO, update_ends="without rdma", macos="26.4", build="25E246", rdma=False
    )
