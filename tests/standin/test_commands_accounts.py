"""Accounts: dscl, sysadminctl, dseditgroup, createhomedir, and the files Linux reads them from."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.standin.commands.desk import Desk
from tests.standin.commands.directory import write_passwd
from tests.standin.mac import Reply

DSCL, SYSADMINCTL = "/usr/bin/dscl", "/usr/sbin/sysadminctl"
DSEDITGROUP, CREATEHOMEDIR = "/usr/sbin/dseditgroup", "/usr/sbin/createhomedir"
RECORD_NOT_FOUND = "<dscl_cmd> DS Error: -14136 (eDSRecordNotFound)\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def create(desk: Desk, path: str, *words: str) -> Reply:
    return desk.sudo(DSCL, ".", "-create", path, *words)


def make_account(desk: Desk, home: str = "/opt/mlx/home") -> None:
    create(desk, "/Groups/_mlx", "PrimaryGroupID", "401")
    attributes = {"UniqueID": "401", "PrimaryGroupID": "401", "NFSHomeDirectory": home, "UserShell": "/usr/bin/false"}
    for key, value in {**attributes, "RealName": "MLX rank", "IsHidden": "1"}.items():
        create(desk, "/Users/_mlx", key, value)


def test_a_role_account_is_made_attribute_by_attribute_and_read_back(desk: Desk) -> None:
    make_account(desk)

    assert desk.run(DSCL, ".", "-read", "/Users/_mlx", "UniqueID") == Reply(stdout="UniqueID: 401\n")
    assert desk.run(DSCL, ".", "-read", "/Users/_mlx", "RealName", "IsHidden").stdout == (
        "RealName:\n MLX rank\nIsHidden: 1\n"
    )
    assert "_mlx\n" in desk.run(DSCL, ".", "-list", "/Users").stdout
    assert re.search(r"^_mlx +401$", desk.run(DSCL, ".", "list", "/Users", "UniqueID").stdout, re.MULTILINE)


def test_a_whole_record_names_its_node_and_has_a_stable_id(desk: Desk) -> None:
    first, second = (desk.run(DSCL, ".", "-read", "/Users/admin").stdout for _ in range(2))

    assert first == second
    assert first.startswith("AppleMetaNodeLocation: /Local/Default\nGeneratedUID: ")
    assert "\nRecordName: admin\n" in first


def test_a_missing_record_is_56_and_a_missing_attribute_is_not(desk: Desk) -> None:
    assert desk.run(DSCL, ".", "-read", "/Users/_mlx", "UniqueID") == Reply(stderr=RECORD_NOT_FOUND, code=56)
    assert desk.sudo(DSCL, ".", "-delete", "/Users/_mlx").code == 56
    assert desk.run(DSCL, ".", "-read", "/Users/admin", "NoSuchKey") == Reply(stderr="No such key: NoSuchKey\n")


def test_changes_need_root(desk: Desk) -> None:
    reply = desk.run(DSCL, ".", "-create", "/Users/_mlx", "UniqueID", "401")

    assert reply.code == 40
    assert "DS Error: -14120 (eDSPermissionError)" in reply.stderr
    assert desk.run(DSCL, ".", "-read", "/Users/_mlx").code == 56


def test_values_are_appended_merged_changed_and_deleted(desk: Desk) -> None:
    def members() -> str:
        return desk.run(DSCL, ".", "-read", "/Groups/_mlx", "GroupMembership").stdout

    make_account(desk)
    desk.sudo(DSCL, ".", "-append", "/Groups/_mlx", "GroupMembership", "admin")
    desk.sudo(DSCL, ".", "-merge", "/Groups/_mlx", "GroupMembership", "admin", "_mlx")
    merged = members()
    desk.sudo(DSCL, ".", "-delete", "/Groups/_mlx", "GroupMembership", "admin")
    deleted = members()
    changed = desk.sudo(DSCL, ".", "-change", "/Users/nobody", "NFSHomeDirectory", "/var/empty", "/var/empty")
    wrong = desk.sudo(DSCL, ".", "-change", "/Users/nobody", "NFSHomeDirectory", "/not/its/home", "/var/empty")

    assert (merged, deleted) == ("GroupMembership: admin _mlx\n", "GroupMembership: _mlx\n")
    assert changed == Reply()
    assert wrong.code == 54


def test_passwd_and_group_follow_the_directory(desk: Desk, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    write_passwd(desk.mac.memory, etc)
    factory = (etc / "passwd").read_text()
    make_account(desk)
    desk.sudo(DSEDITGROUP, "-o", "edit", "-a", "admin", "-t", "user", "_mlx")
    written = (etc / "passwd").read_text()
    group = (etc / "group").read_text()
    desk.sudo(DSCL, ".", "-delete", "/Users/_mlx")

    assert "root:x:0:0:System Administrator:/var/root:/bin/sh\n" in factory
    assert "nobody:x:4294967294:4294967294:" in factory
    assert "admin:x:501:20:Admin:/Users/admin:" in factory
    assert "_mlx:x:401:401:MLX rank:/opt/mlx/home:/usr/bin/false\n" in written
    assert "_mlx:x:401:admin\n" in group
    assert (etc / "passwd").stat().st_mode & 0o777 == 0o644
    assert (etc / "passwd").read_text() == factory


def test_a_user_without_a_number_is_not_written_for_linux(desk: Desk, tmp_path: Path) -> None:
    write_passwd(desk.mac.memory, tmp_path)
    create(desk, "/Users/_half")

    assert "_half" not in (tmp_path / "passwd").read_text()


def test_sysadminctl_adds_a_user_speaks_on_stderr_and_never_fails(desk: Desk) -> None:
    words = ["-fullName", "MLX", "-UID", "401", "-GID", "401", "-home", "/opt/mlx/home", "-shell", "/usr/bin/false"]
    added = desk.sudo(SYSADMINCTL, "-addUser", "mlx", *words)
    again = desk.sudo(SYSADMINCTL, "-addUser", "mlx", *words)
    as_user = desk.run(SYSADMINCTL, "-addUser", "other")

    assert (added.code, again.code, as_user.code) == (0, 0, 0)
    assert added.stdout == again.stdout == ""
    assert "already exists" in again.stderr
    assert desk.run(DSCL, ".", "-read", "/Users/mlx", "UserShell").stdout == "UserShell: /usr/bin/false\n"
    assert desk.run(DSCL, ".", "-read", "/Users/other").code == 56


def test_secure_tokens_are_told_on_stderr_behind_a_timestamp(desk: Desk) -> None:
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} sysadminctl\[1053:11513\] "
    admin = desk.run(SYSADMINCTL, "-secureTokenStatus", "admin")
    unknown = desk.run(SYSADMINCTL, "-secureTokenStatus", "nosuchuser")

    assert re.fullmatch(stamp + r"Secure token is ENABLED for user Admin\n", admin.stderr)
    assert re.fullmatch(stamp + r"Unknown user nosuchuser\n", unknown.stderr)
    assert (admin.code, unknown.code) == (0, 0)


def test_membership_is_checked_by_list_and_by_primary_group(desk: Desk) -> None:
    make_account(desk)

    assert desk.run(DSEDITGROUP, "-o", "checkmember", "-m", "admin", "admin") == Reply(
        stdout="yes admin is a member of admin\n"
    )
    assert desk.run(DSEDITGROUP, "-o", "checkmember", "-m", "_mlx", "_mlx").code == 0
    assert desk.run(DSEDITGROUP, "-o", "checkmember", "-m", "_mlx", "admin") == Reply(
        stdout="no _mlx is NOT a member of admin\n", code=67
    )


def test_groups_are_created_edited_and_deleted_by_root(desk: Desk) -> None:
    refused = desk.run(DSEDITGROUP, "-o", "create", "-i", "402", "_lab")
    created = desk.sudo(DSEDITGROUP, "-o", "create", "-i", "402", "_lab")
    desk.sudo(DSEDITGROUP, "-o", "edit", "-a", "admin", "-t", "user", "_lab")
    member = desk.run(DSEDITGROUP, "-o", "checkmember", "-m", "admin", "_lab").code
    desk.sudo(DSEDITGROUP, "-o", "edit", "-d", "admin", "-t", "user", "_lab")
    left = desk.run(DSEDITGROUP, "-o", "checkmember", "-m", "admin", "_lab").code
    desk.sudo(DSEDITGROUP, "-o", "delete", "_lab")

    assert (refused.code != 0, created, member, left) == (True, Reply(), 0, 67)
    assert desk.run(DSCL, ".", "-read", "/Groups/_lab").code == 56


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory to another user needs root")
def test_createhomedir_makes_the_home_once(desk: Desk, tmp_path: Path) -> None:
    home = tmp_path / "homes" / "mlx"
    make_account(desk, str(home))
    made = desk.sudo(CREATEHOMEDIR, "-c", "-u", "_mlx")
    again = desk.sudo(CREATEHOMEDIR, "-c", "-u", "_mlx")

    assert made.stdout == f"creating home directories for (mac-1.local)\ncreated ({home})\n"
    assert again.stdout == "creating home directories for (mac-1.local)\n"
    assert home.stat().st_uid == 401


@pytest.mark.parametrize(
    "argv",
    [
        (DSCL, "/LDAPv3", "-list", "/Users"),
        (DSCL, ".", "-search", "/Users", "UniqueID", "401"),
        (DSCL, ".", "-append", "/Users/admin", "RealName"),
        (DSCL, ".", "-passwd", "/Users/admin", "x"),
        (DSCL, ".", "-list", "/Machines"),
        (SYSADMINCTL, "-addUser", "x", "-picture", "y"),
        (SYSADMINCTL, "-resetPasswordFor", "x"),
        (DSEDITGROUP, "-o", "read", "admin"),
        (DSEDITGROUP, "-o", "edit", "-z", "x", "admin"),
        (CREATEHOMEDIR, "-a"),
    ],
)
def test_what_is_not_known_is_refused_by_name(desk: Desk, argv: tuple[str, ...]) -> None:
    reply = desk.sudo(*argv)

    assert reply.code == 64
    assert "does not know" in reply.stderr
