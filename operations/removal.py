"""Cidermill away from a Mac: settings as they were, no daemons, no account, no files but those that are kept.

Each operation reads, removes what is there, and has nothing to do the second time; `proven` reads everything again in
the end. Call them in the order of this file: the daemons first, because what they changed is undone by the software
that is removed last. Checked against macOS 26.
"""

from __future__ import annotations

import plistlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from xml.parsers.expat import ExpatError

from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations import headless, launchd
from operations.before import Values, recorded
from operations.facts.accounts import Account, ServiceAccount
from operations.facts.files import Tree
from operations.facts.launchd import Daemon, LaunchDaemons
from operations.facts.settings import Settings
from operations.facts.texts import Texts
from operations.leftover import Leftover, StagedPlists, check_paths, removing
from operations.remote import Commands, complain, current_state, differs, operation, read

_GONE = "not there"
_NOT_ALLOWED = (
    "Over SSH macOS may ask for more: System Settings, General, Sharing, Remote Login, "
    "Allow full disk access for remote users."
)


@operation
def daemons(prefix: str, *, undo: Mapping[str, tuple[str, str]] | None = None) -> Commands:
    """No daemon whose label begins with `prefix`, on disk, loaded or disabled.

    `undo` names for a label the Python module its daemon runs, and another: once the daemon is unloaded, its own
    command line is run with the other module in place of the first, and only when that succeeds is the plist removed.

    removal.daemons(
        "dev.example.",
        name="Remove the daemons",
        undo={"dev.example.links": ("example.links.daemon", "example.links.undo")},
    )
    """
    seen = read(host, LaunchDaemons, prefix=prefix)
    present = {label: daemon for label, daemon in seen.items() if _is_left(daemon)}
    staged = read(host, StagedPlists, prefix=prefix)
    if not present and not staged:
        host.noop(f"nothing to do: no daemon under {prefix}")
        return
    for label, daemon in present.items():
        differs(label, seen=daemon["state"] if daemon["loaded"] else "on disk", needed=_GONE)
    yield from [_unloaded(label, daemon, (undo or {}).get(label)) for label, daemon in present.items()]
    if staged:
        yield shlex.join(("rm", "-f", *staged))


@operation
def settings(record: str) -> Commands:
    """Every setting in the file `record` on the Mac with the value it has there; the record goes once all have it.

    What was recorded is put back also where somebody has changed a setting since.

    removal.settings("/opt/example/before/settings.json", name="Put settings back")
    """
    before = recorded(host, record)
    if before is None:
        host.noop(f"nothing to do: there is no record at {record}")
        return
    seen = headless.values(read(host, Settings))
    changes = {key: value for key, value in _restorable(before, seen).items() if seen[key] != value}
    for key, value in changes.items():
        differs(headless.shown(key), seen=headless.word(seen[key]), needed=headless.word(value))
    if changes:
        told = ", ".join(f"{headless.shown(key)} {headless.word(value)}" for key, value in sorted(changes.items()))
        headless.aside(host, f"settings go back to what they were before: {told}")
        yield StringCommand(headless.setting(changes))
        yield FunctionCommand(headless.confirmed, (changes,), {})
    yield shlex.join(("rm", "-f", record, f"{record}.new"))


@operation
def service_account(account: str, *, uid: int, real_name: str = "Cidermill") -> Commands:
    """No account and no group of this name, which must be ours by number and real name.

    removal.service_account("_example", name="Remove the account", uid=341, real_name="Example")
    """
    seen = read(host, ServiceAccount, account=account, uid=uid)
    _refuse_foreign(account, uid, real_name, seen)
    # The user first: a run that is cut off between leaves a group, and the next one still finds it.
    present = [(kind, folder) for kind, folder in (("user", "Users"), ("group", "Groups")) if _has(seen, kind)]
    if not present:
        host.noop(f"nothing to do: there is no account {account}")
        return
    for kind, _ in present:
        differs(f"{kind} {account}", seen="there", needed=_GONE)
    yield from [_deleted(f"/{folder}/{account}") for _, folder in present]


@operation
def files(paths: Sequence[str], *, keep: Sequence[str] = ()) -> Commands:
    """None of these directories and files, but for the directories in `keep` and those that lead to them.

    Links are removed and never followed, and what is mounted inside stays. Paths outside our own places are refused.

    removal.files(["/opt/example", "/var/log/example"], name="Remove files", keep=["/opt/example/weights"])
    """
    check_paths(paths, keep)
    left = read(host, Leftover, paths=list(paths), keep=list(keep))
    if not left:
        host.noop(f"nothing to do: none of {', '.join(paths)} is there{_kept(keep)}")
        return
    for one in left:
        differs(one["path"], seen="there", needed=_GONE)
        if one["kind"] == "link":
            headless.aside(host, f"{one['path']} is a link: it goes, and what it points to stays")
    yield StringCommand(removing(left))


@operation
def proven(
    prefix: str, *, account: str, uid: int, record: str, paths: Sequence[str], keep: Sequence[str] = ()
) -> Commands:
    """Nothing left of all that: everything is read again, and what is left fails the run. Call it last.

    removal.proven(
        "dev.example.",
        name="See that nothing is left",
        account="_example",
        uid=341,
        record="/opt/example/before/settings.json",
        paths=["/opt/example", "/var/log/example"],
        keep=["/opt/example/weights"],
    )
    """
    if not current_state().is_executing:
        host.noop("looked at once everything else is done")
        return
    seen = read(host, ServiceAccount, account=account, uid=uid)
    left = [
        *(f"daemon {label}" for label, daemon in read(host, LaunchDaemons, prefix=prefix).items() if _is_left(daemon)),
        *read(host, StagedPlists, prefix=prefix),
        *(f"{kind} {account}" for kind in ("user", "group") if _has(seen, kind)),
        *([f"settings that are not put back, by {record}"] if recorded(host, record) is not None else []),
        *(one["path"] for one in read(host, Leftover, paths=list(paths), keep=list(keep))),
    ]
    if left:
        yield FunctionCommand(_failed, (left,), {})
    else:
        host.noop(f"nothing is left{_kept(keep)}")


def _is_left(daemon: Daemon) -> bool:
    return daemon["loaded"] or daemon["disabled"] or daemon["plist_sha256"] is not None


def _unloaded(label: str, daemon: Daemon, modules: tuple[str, str] | None) -> StringCommand:
    if daemon["disabled"]:
        headless.aside(host, f"launchd keeps a note that {label} is enabled: no command takes it away")
    after = _undone(label, modules) if daemon["plist_sha256"] else ""
    return launchd.removed(label, after=after, enable=daemon["disabled"])


def _undone(label: str, modules: tuple[str, str] | None) -> str:
    """The shell command that undoes what a daemon did, "" when there is none to run."""
    if modules is None:
        return ""
    path = launchd.path_of(label)
    plist = _plist(label, read(host, Texts, paths=[path])[path])
    argv = cast("list[str]", plist.get("ProgramArguments") or [])
    environment = cast("dict[str, str]", plist.get("EnvironmentVariables") or {})
    if modules[0] not in argv:
        raise OperationError(
            f"cannot undo what {label} did on {host.name}: its plist runs {shlex.join(argv) or 'nothing'!r}, needed "
            f"{modules[0]}. Deploy once more, then remove."
        )
    if argv[0] not in read(host, Tree, paths=[argv[0]]):
        headless.aside(
            host,
            f"what {label} did cannot be undone now, because {argv[0]} is gone. macOS forgets changes of network, "
            "packet filter and wired memory when it restarts: restart this Mac.",
        )
        return ""
    other = [modules[1] if part == modules[0] else part for part in argv]
    return f"cd /\n{shlex.join(('/usr/bin/env', *(f'{name}={value}' for name, value in environment.items()), *other))}"


def _plist(label: str, text: str | None) -> dict[str, Any]:
    try:
        return plistlib.loads((text or "").encode())
    except (plistlib.InvalidFileException, ExpatError, ValueError) as error:
        raise OperationError(
            f"cannot undo what {label} did on {host.name}: its plist cannot be read ({error}). Deploy once more, then "
            "remove."
        ) from error


def _restorable(before: Values, seen: Values) -> Values:
    """What can be put back; the rest is told."""
    found: Values = {}
    for key, value in before.items():
        if key == "remote_login" and value is False:
            headless.aside(host, "remote login was off before and stays on: turning it off would shut out this run")
        elif key not in seen:
            headless.aside(host, f"{headless.shown(key)} cannot be put back: this Mac no longer has that setting")
        else:
            found[key] = value
    return found


def _has(seen: Account, kind: str) -> bool:
    return (seen["user"] if kind == "user" else seen["group"]) is not None


def _refuse_foreign(account: str, uid: int, real_name: str, seen: Account) -> None:
    needed = {"RealName": real_name, "PrimaryGroupID": str(uid)}
    for kind, record, own in (("user", seen["user"], {"UniqueID": str(uid)}), ("group", seen["group"], {})):
        for key, value in ({**needed, **own} if record is not None else {}).items():
            if record is not None and record.get(key, value) != value:
                raise OperationError(
                    f"cannot remove {kind} {account} on {host.name}: its {key} is {record[key]!r}, ours has {value!r}. "
                    "It is somebody else's, so it is left alone. If it is not, remove it with dscl."
                )


def _deleted(path: str) -> StringCommand:
    return StringCommand(
        f"said=$(/usr/bin/dscl . -delete {shlex.quote(path)} 2>&1) || "
        f'{{ echo "cannot remove {path}: dscl ended with $? and said: $said. {_NOT_ALLOWED}" >&2; exit 1; }}'
    )


def _kept(keep: Sequence[str]) -> str:
    return f", and {', '.join(keep)} {'is' if len(keep) == 1 else 'are'} kept" if keep else ""


def _failed(state: State, host: Host, left: Sequence[str]) -> bool:  # noqa: ARG001 - pyinfra's
    for line in _story(host, left):
        complain(host, line)
    return False


def _story(host: Host, left: Sequence[str]) -> Iterator[str]:
    yield f"cannot say that everything is removed from {host.name}: {len(left)} left, needed none."
    yield from (f"    left: {one}" for one in left)
    yield "Run the removal again; what stays then has its reason above."
