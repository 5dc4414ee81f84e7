"""The local directory of accounts: records as Open Directory keeps them, and the files Linux reads them from.

macOS keeps users and groups in its own directory; /etc/passwd there is a leaflet. On a stand-in both files are
written from the directory after every change, so that `id`, chown by name and a job's UserName agree with `dscl`.
"""

from __future__ import annotations

import copy
import os
import uuid
from pathlib import Path

from tests.standin.mac import Memory

Record = dict[str, list[str]]
Records = dict[str, Record]

SUBJECT = "directory"
FILES = "directory-files"
"""Memory subject: where passwd and group are kept, once `write_passwd` was told."""
PASSWORDS = "passwords"
"""Memory subject: passwords by account, where they are not those from the factory."""
ADMIN_PASSWORD = "correct horse, battery staple"
NO_SHELL = "/usr/bin/false"
SHELL = "/bin/sh"


def _user(uid: int, gid: int, home: str, shell: str, name: str) -> Record:
    return {
        "UniqueID": [str(uid)],
        "PrimaryGroupID": [str(gid)],
        "NFSHomeDirectory": [home],
        "UserShell": [shell],
        "RealName": [name],
    }


def _group(gid: int, *members: str) -> Record:
    return {"PrimaryGroupID": [str(gid)], **({"GroupMembership": list(members)} if members else {})}


FROM_FACTORY: dict[str, Records] = {
    "Users": {
        "root": _user(0, 0, "/var/root", SHELL, "System Administrator"),
        "daemon": _user(1, 1, "/var/root", NO_SHELL, "System Services"),
        "nobody": _user(-2, -2, "/var/empty", NO_SHELL, "Unprivileged User"),
        "admin": _user(501, 20, "/Users/admin", "/bin/zsh", "Admin"),
    },
    "Groups": {
        "wheel": _group(0, "root"),
        "daemon": _group(1, "root"),
        "tty": _group(4, "root"),
        "staff": _group(20, "root"),
        "everyone": _group(12),
        "admin": _group(80, "root", "admin"),
        "nobody": _group(-2),
    },
}


def read(memory: Memory) -> dict[str, Records]:
    """All records: "Users" and "Groups", each name -> attributes."""
    return memory.read(SUBJECT, copy.deepcopy(FROM_FACTORY))


def write(memory: Memory, records: dict[str, Records]) -> None:
    """Remember all records, and bring passwd and group up to date where a Mac has them."""
    memory.write(SUBJECT, records)
    files = memory.read(FILES, None)
    if files is not None:
        _write_files(records, Path(files))


def write_passwd(memory: Memory, etc: Path) -> None:
    """Write passwd and group into this directory now, and again after every change. Called at boot."""
    memory.write(FILES, str(etc))
    _write_files(read(memory), etc)


def generated_uid(kind: str, name: str) -> str:
    """The GeneratedUID of a record: made up, but always the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{kind}")).upper()


def opens(memory: Memory, name: str, password: str) -> bool:
    """Whether it is the password of an account; one without a password is opened by none."""
    return password != "" and {"admin": ADMIN_PASSWORD, **memory.read(PASSWORDS, {})}.get(name) == password


def holds_token(memory: Memory, name: str) -> bool:
    """Whether an account has a secure token, and owns the volume: the first one made at the Mac itself."""
    return name == "admin" and name in read(memory)["Users"]


def in_group(records: dict[str, Records], user: str, group: str) -> bool:
    """Whether a user is a member, by the group's list or as the user's primary group."""
    record = records["Groups"][group]
    primary = records["Users"].get(user, {}).get("PrimaryGroupID")
    return user in record.get("GroupMembership", []) or primary == record.get("PrimaryGroupID", [""])


def _write_files(records: dict[str, Records], etc: Path) -> None:
    users = _by_number(records["Users"], "UniqueID")
    groups = _by_number(records["Groups"], "PrimaryGroupID")
    _replace(etc / "passwd", "".join(_passwd_line(name, user) for name, user in users))
    _replace(etc / "group", "".join(_group_line(name, group) for name, group in groups))


def _by_number(records: Records, attribute: str) -> list[tuple[str, Record]]:
    """The records that have a number, lowest first, root before all."""
    numbered = [(name, record) for name, record in records.items() if record.get(attribute)]
    return sorted(numbered, key=lambda pair: _number(pair[1], attribute, "0"))


def _passwd_line(name: str, user: Record) -> str:
    """A user for Linux; a shell this machine lacks becomes /bin/sh, for `su` refuses to run without one."""
    shell = _first(user, "UserShell", NO_SHELL)
    shell = shell if os.path.exists(shell) else SHELL
    numbers = f"{_number(user, 'UniqueID', '0')}:{_number(user, 'PrimaryGroupID', '20')}"
    name_and_home = f"{_first(user, 'RealName', name)}:{_first(user, 'NFSHomeDirectory', '/var/empty')}"
    return f"{name}:x:{numbers}:{name_and_home}:{shell}\n"


def _group_line(name: str, group: Record) -> str:
    return f"{name}:x:{_number(group, 'PrimaryGroupID', '0')}:{','.join(group.get('GroupMembership', []))}\n"


def _first(record: Record, attribute: str, default: str) -> str:
    return (record.get(attribute) or [default])[0]


def _number(record: Record, attribute: str, default: str) -> int:
    """A uid or gid as Linux writes it: macOS's -2 is 4294967294."""
    return int(_first(record, attribute, default)) % (1 << 32)


def _replace(file: Path, content: str) -> None:
    new = file.with_name(f".{file.name}.new")
    new.write_text(content)
    new.chmod(0o644)
    os.replace(new, file)
