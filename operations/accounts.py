"""Service accounts: hidden, without a password, unable to log in.

Made by dscl, because sysadminctl takes a password on its command line and ends with 0 when it failed. dscl ends with 0
in some failures as well, so the records are read back. Checked against macOS 26.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pyinfra.api.command import FunctionCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.facts.accounts import Account, ServiceAccount
from operations.remote import Commands, complain, differs, operation, read

Records = dict[str, dict[str, str]]

_OWNED = frozenset({"RealName", "NFSHomeDirectory"})
"""What tells an account of ours from another of the same name."""


@operation
def service_account(account: str, *, uid: int, home: str, real_name: str = "Cidermill") -> Commands:
    """A hidden role account and a group of the same name and number.

    accounts.service_account(
        name="Create the service account", account="_example", uid=341, home="/var/empty", real_name="Example"
    )
    """
    needed = _needed(uid, home, real_name)
    seen = read(host, ServiceAccount, account=account, uid=uid)
    _refuse_taken(account, uid, seen)
    _refuse_foreign(account, needed, seen)
    commands = list(_differences(account, needed, seen))
    if not commands:
        host.noop(f"account {account} has uid {uid} and cannot log in")
        return
    for kind, record in (("group", seen["group"]), ("user", seen["user"])):
        for key, value in needed[kind].items():
            if (record or {}).get(key) != value:
                differs(f"{kind} {account}: {key}", seen=(record or {}).get(key, "none"), needed=value)
    yield " && ".join(shlex.join(command) for command in commands)
    yield FunctionCommand(_confirmed, (account, uid, needed), {})


def _needed(uid: int, home: str, real_name: str) -> Records:
    return {
        "group": {"PrimaryGroupID": str(uid), "RealName": real_name},
        "user": {
            "UniqueID": str(uid),
            "PrimaryGroupID": str(uid),
            "NFSHomeDirectory": home,
            "UserShell": "/usr/bin/false",
            "RealName": real_name,
            "IsHidden": "1",
        },
    }


def _refuse_taken(account: str, uid: int, seen: Account) -> None:
    for kind, owners in (("user", seen["uid_owners"]), ("group", seen["gid_owners"])):
        others = [owner for owner in owners if owner != account]
        if others:
            raise OperationError(
                f"cannot create account {account} on {host.name}: number {uid} belongs to {kind} {', '.join(others)}. "
                "Declare another uid."
            )


def _refuse_foreign(account: str, needed: Records, seen: Account) -> None:
    # A record that was cut off while it was made lacks these; one that says something else is somebody's.
    for kind, record in (("group", seen["group"]), ("user", seen["user"])):
        for key in sorted(_OWNED & needed[kind].keys() & (record or {}).keys()):
            if record and record[key] != needed[kind][key]:
                raise OperationError(
                    f"cannot create account {account} on {host.name}: there is a {kind} of that name whose {key} is "
                    f"{record[key]!r}, needed {needed[kind][key]!r}. Declare another name, or remove that {kind}."
                )


def _differences(account: str, needed: Records, seen: Account) -> Iterator[tuple[str, ...]]:
    for kind, folder, record in (("group", "Groups", seen["group"]), ("user", "Users", seen["user"])):
        path = f"/{folder}/{account}"
        if record is None:
            yield ("/usr/bin/dscl", ".", "-create", path)
            # Without one, macOS would take an empty password for a password.
            yield ("/usr/bin/dscl", ".", "-create", path, "Password", "*")
        for key, value in needed[kind].items():
            if (record or {}).get(key) != value:
                yield ("/usr/bin/dscl", ".", "-create", path, key, value)


def _confirmed(state: State, host: Host, account: str, uid: int, needed: Records) -> bool:  # noqa: ARG001 - pyinfra's
    try:
        seen = read(host, ServiceAccount, account=account, uid=uid)
    except OperationError as error:
        complain(host, f"cannot tell whether account {account} was created: {error}")
        return False
    if {"user": seen["user"], "group": seen["group"]} == needed:
        return True
    complain(host, f"cannot create account {account}: dscl ended well, but the directory has {seen}, needed {needed}.")
    return False
