"""`sysadminctl`, `dseditgroup` and `createhomedir`.

`sysadminctl` writes everything to standard error behind a timestamp and exits 0 whatever happens: believe the
directory, not the exit code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tests.standin.commands import directory
from tests.standin.commands.directory import Record, Records
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

NOT_A_MEMBER = 67
NO_SUCH_GROUP = 64
NOT_PERMITTED = 77
USER_OPTIONS = {
    "-fullName": "RealName",
    "-UID": "UniqueID",
    "-GID": "PrimaryGroupID",
    "-home": "NFSHomeDirectory",
    "-shell": "UserShell",
}
FIRST_FREE_UID = 502


def stamp(program: str) -> str:
    """The prefix of a line logged by an Apple tool."""
    now = datetime.now()
    return f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03d} {program}[1053:11513] "


def sysadminctl(mac: Mac, call: Call) -> Reply:
    """Add and delete users, tell who holds a secure token and whether somebody logs in by himself."""
    match call.argv[1:]:
        case ["-addUser", name, *options]:
            return _add_user(mac, call, name, options)
        case ["-deleteUser", name]:
            return _delete_user(mac, call, name)
        case ["-secureTokenStatus", name]:
            return _logged(_secure_token(mac, name))
        case ["-autologin", "status"]:
            return _logged("Automatic login is OFF.")
        case _:
            return unsupported(call)


def _logged(*sentences: str) -> Reply:
    return Reply(stderr="".join(f"{stamp('sysadminctl')}{sentence}\n" for sentence in sentences))


def _secure_token(mac: Mac, name: str) -> str:
    users = directory.read(mac.memory)["Users"]
    if name not in users:
        return f"Unknown user {name}"
    holds = "ENABLED" if directory.holds_token(mac.memory, name) else "DISABLED"
    return f"Secure token is {holds} for user {users[name].get('RealName', [name])[0]}"


def _add_user(mac: Mac, call: Call, name: str, options: list[str]) -> Reply:
    words = [word for word in options if word != "-roleAccount"]
    given = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or given.keys() - {*USER_OPTIONS, "-password"}:
        return unsupported(call)
    if not call.is_root:
        return _logged("Operation is not permitted without secure token unlock.")
    records = directory.read(mac.memory)
    if name in records["Users"]:
        return _logged(f"User {name} already exists.")
    record = _new_user(name, given, records["Users"])
    records["Users"][name] = record
    directory.write(mac.memory, records)
    uid, gid = record["UniqueID"][0], record["PrimaryGroupID"][0]
    return _logged("Creating user record\u2026", f"Assigning UID: {uid} GID: {gid}")


def _new_user(name: str, given: dict[str, str], users: Records) -> Record:
    taken = {int(user["UniqueID"][0]) for user in users.values() if user.get("UniqueID")}
    free = next(uid for uid in range(FIRST_FREE_UID, 1 << 16) if uid not in taken)
    defaults = {"-fullName": name, "-UID": str(free), "-GID": "20", "-home": f"/Users/{name}", "-shell": "/bin/zsh"}
    return {attribute: [given.get(option, defaults[option])] for option, attribute in USER_OPTIONS.items()}


def _delete_user(mac: Mac, call: Call, name: str) -> Reply:
    records = directory.read(mac.memory)
    if not call.is_root:
        return _logged("Operation is not permitted without secure token unlock.")
    if name not in records["Users"]:
        return _logged(f"Unknown user {name}")
    del records["Users"][name]
    directory.write(mac.memory, records)
    return _logged(f"Deleting record for {name}")


def dseditgroup(mac: Mac, call: Call) -> Reply:
    """Create, edit, delete and read a group, or check a member."""
    words = [word for word in call.argv[1:] if word != "-q"]
    options = dict(zip(words[:-1:2], words[1:-1:2], strict=False))
    operation, group = options.pop("-o", ""), words[-1] if words else ""
    if len(words) % 2 == 0 or options.pop("-n", ".") not in (".", "/Local/Default") or operation not in OPERATIONS:
        return unsupported(call)
    known, needs_root, act = OPERATIONS[operation]
    if options.keys() - known:
        return unsupported(call)
    records = directory.read(mac.memory)
    if operation != "create" and group not in records["Groups"]:
        return failure("Group not found.", NO_SUCH_GROUP)
    if needs_root and not call.is_root:
        return failure("Insufficient privileges to perform the requested operation.", NOT_PERMITTED)
    reply = act(records, group, options)
    if needs_root and reply.code == 0:
        directory.write(mac.memory, records)
    return reply


def _create_group(records: dict[str, Records], group: str, options: dict[str, str]) -> Reply:
    taken = {int(record["PrimaryGroupID"][0]) for record in records["Groups"].values() if "PrimaryGroupID" in record}
    free = next(gid for gid in range(FIRST_FREE_UID, 1 << 16) if gid not in taken)
    record = records["Groups"].setdefault(group, {"PrimaryGroupID": [str(free)], "RealName": [group]})
    if "-i" in options:
        record["PrimaryGroupID"] = [options["-i"]]
    if "-r" in options:
        record["RealName"] = [options["-r"]]
    return Reply()


def _edit_group(records: dict[str, Records], group: str, options: dict[str, str]) -> Reply:
    name = options.get("-a") or options.get("-d", "")
    if options.get("-t", "user") != "user" or name not in records["Users"]:
        return failure("Record was not found.", NO_SUCH_GROUP)
    members = [member for member in records["Groups"][group].get("GroupMembership", []) if member != name]
    records["Groups"][group]["GroupMembership"] = [*members, name] if "-a" in options else members
    return Reply()


def _check_member(records: dict[str, Records], group: str, options: dict[str, str]) -> Reply:
    name = options.get("-m", "")
    if directory.in_group(records, name, group):
        return lines(f"yes {name} is a member of {group}")
    return Reply(stdout=f"no {name} is NOT a member of {group}\n", code=NOT_A_MEMBER)


def _delete_group(records: dict[str, Records], group: str, _: dict[str, str]) -> Reply:
    del records["Groups"][group]
    return Reply()


OPERATIONS: dict[str, tuple[set[str], bool, Callable[[dict[str, Records], str, dict[str, str]], Reply]]] = {
    "checkmember": ({"-m"}, False, _check_member),
    "create": ({"-i", "-r"}, True, _create_group),
    "delete": (set(), True, _delete_group),
    "edit": ({"-a", "-d", "-t"}, True, _edit_group),
}


def createhomedir(mac: Mac, call: Call) -> Reply:
    """`-c -u USER`: make the home directory of a user."""
    if call.argv[1:3] != ["-c", "-u"] or len(call.argv) != 4:
        return unsupported(call)
    user = directory.read(mac.memory)["Users"].get(call.argv[3])
    if user is None or not call.is_root:
        return failure(f"createhomedir: {'must be run as root' if user else f'unknown user {call.argv[3]}'}", 1)
    home = Path(user["NFSHomeDirectory"][0])
    announced = f"creating home directories for ({mac.name}.local)"
    if home.exists():
        return lines(announced)
    home.mkdir(mode=0o700, parents=True)
    os.chown(home, int(user["UniqueID"][0]), int(user["PrimaryGroupID"][0]))
    return lines(announced, f"created ({home})")


COMMANDS: dict[str, Command] = {
    "/usr/sbin/sysadminctl": sysadminctl,
    "/usr/sbin/dseditgroup": dseditgroup,
    "/usr/sbin/createhomedir": createhomedir,
}
