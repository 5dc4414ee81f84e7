"""The settings that make a server out of a desktop Mac: awake, back after a power cut, not updating by itself.

Relies on pmset, systemsetup, softwareupdate, defaults, launchctl and socketfilterfw as of macOS 26. Several of them end
with 0 when they did nothing, and systemsetup prints errors when it succeeded, so settings are read back. pmset changes
mains power (`-c`) alone: that is what is read and recorded, so it can be put back as it was.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.exceptions import OperationError, OperationValueError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.before import Value, Values, kept, recorded
from operations.facts.settings import SSH_LABEL, UPDATE_KEYS, Settings
from operations.remote import Commands, complain, current_state, differs, operation, read

NAME = "Set up for headless use"
"""What the operation is called in a deploy; whoever tells of settings in other words knows it by this."""

# `sleep` keeps the Mac awake. `disksleep` keeps external disks turning, where weights may lie. `standby` is for a Mac
# that somebody puts to sleep all the same: it would go on to hibernate, where no magic packet reaches it. Power Nap
# acts only on a Mac that sleeps, and a display may sleep: both are left as they are.
_AWAKE = ("power/sleep", "power/disksleep", "power/standby")
_UPDATES = {f"updates/{key}": (domain, key) for key, domain in UPDATE_KEYS.items()}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "sleep": _AWAKE,
    "restart_after_power_loss": ("power/autorestart",),
    "restart_after_freeze": ("restart_after_freeze",),
    "wake_on_network": ("power/womp",),
    "automatic_updates": ("updates/schedule", *_UPDATES),
    "remote_login": ("remote_login",),
    "application_firewall": ("application_firewall",),
}
_VALUES: Mapping[str, Mapping[Any, bool]] = {
    **{name: {True: True, False: False} for name in _KEYS},
    "sleep": {False: False},
    "remote_login": {True: True},
    "application_firewall": {"off": False},
}
_ONLY_JUDGED = ("file_vault", "clock_within_seconds")
_TOLD = "told"

_CHANGE = """
failed=0
change() {
  said=$("$@" 2>&1 </dev/null) || { echo "cannot run $*: it ended with $? and said: $said" >&2; failed=1; }
}
"""
# systemsetup would need full disk access for this.
_REMOTE_LOGIN = f"""change /bin/launchctl enable system/{SSH_LABEL}
/bin/launchctl print system/{SSH_LABEL} >/dev/null 2>&1 || \
change /bin/launchctl bootstrap system /System/Library/LaunchDaemons/ssh.plist"""

_asides: WeakKeyDictionary[State, set[tuple[str, str]]] = WeakKeyDictionary()


@operation
def settings(wanted: Mapping[str, Any], *, record: str) -> Commands:
    """Settings as wanted; what each was before its first change is in the file `record` on the Mac.

    `wanted`: `sleep` False; `restart_after_power_loss`, `restart_after_freeze`, `wake_on_network` and
    `automatic_updates` True or False; `remote_login` True; `application_firewall` "off". None, "told" or not there:
    not managed. `file_vault` and `clock_within_seconds` may be there, and nothing is done about them: turning
    FileVault off takes a person's password.

    headless.settings(
        {"sleep": False, "restart_after_power_loss": True, "automatic_updates": False},
        name="Keep awake",
        record="/opt/example/before/settings.json",
    )
    """
    needed = wanted_values(wanted)
    seen = values(read(host, Settings))
    for key in sorted(needed.keys() - seen.keys()):
        aside(host, f"this Mac has no setting {shown(key)}: it is left out")
    changes = {key: value for key, value in needed.items() if key in seen and seen[key] != value}
    if not changes:
        managed = len(needed.keys() & seen.keys())
        host.noop(f"as declared: {managed} settings" if managed else "no setting of this Mac is managed")
        return
    for key, value in changes.items():
        differs(shown(key), seen=word(seen[key]), needed=word(value))
    keeping = kept(record, known=recorded(host, record) or {}, seen={key: seen[key] for key in changes})
    before, text = keeping or ("", "")
    yield StringCommand(f"{before}{setting(changes)}", _stdin=text)
    yield FunctionCommand(confirmed, (changes,), {})


def wanted_values(wanted: Mapping[str, Any]) -> Values:
    """The value of every key that is managed."""
    needed: Values = {}
    for name, given in wanted.items():
        if given is None or given == _TOLD or name in _ONLY_JUDGED:
            continue
        if name not in _KEYS or given not in _VALUES[name]:
            allowed = " or ".join(map(repr, _VALUES[name])) if name in _KEYS else f"one of {', '.join(_KEYS)}"
            raise OperationValueError(f"cannot set {name} to {given!r}: needed {allowed}.")
        value = _VALUES[name][given]
        needed |= {key: int(value) if key.startswith("power/") else value for key in _KEYS[name]}
    return needed


def values(seen: Mapping[str, Any]) -> Values:
    """The value of every key there is on a Mac, from the fact; a setting this Mac does not have is not there."""
    power, updates = cast("Mapping[str, int]", seen["power"]), cast("Mapping[str, bool | None]", seen["updates"])
    found: Values = {
        **{f"power/{name}": value for name, value in power.items()},
        **{f"updates/{name}": value for name, value in updates.items()},
        **{name: seen[name] for name in ("restart_after_freeze", "remote_login", "application_firewall")},
    }
    return {key: value for key, value in found.items() if key != "restart_after_freeze" or value is not None}


def setting(changes: Mapping[str, Value]) -> str:
    """The shell script that gives each key its value, None for never written; it tries all and tells what failed."""
    return "\n".join((_CHANGE, *_lines(changes), "exit $failed"))


def confirmed(state: State, host: Host, changes: Mapping[str, Value]) -> bool:  # noqa: ARG001 - pyinfra's
    """Read the settings again: whether each key has its value, and tell of those that have not."""
    try:
        seen = values(read(host, Settings))
    except OperationError as error:
        complain(host, f"cannot tell whether the settings took: {error}")
        return False
    wrong = {key: value for key, value in changes.items() if key not in seen or seen[key] != value}
    for key, value in wrong.items():
        complain(
            host,
            f"cannot set {shown(key)} on {host.name}: the command ended well, but it is {word(seen.get(key))}, needed "
            f"{word(value)}. Does something else manage this Mac? See System Settings, or its MDM profile.",
        )
    return not wrong


def aside(host: Host, text: str) -> None:
    """Tell the operator something that is no reason to stop, once in a run."""
    told = _asides.setdefault(current_state(), set())
    if (host.name, text) not in told:
        told.add((host.name, text))
        host.log(text)


def shown(key: str) -> str:
    """A key as people call it."""
    return key.removeprefix("power/").replace("updates/", "updates: ").replace("_", " ")


def word(value: Value) -> str:
    """A value as people call it."""
    if value is None:
        return "never set"
    return str(value) if not isinstance(value, bool) else "on" if value else "off"


def _lines(changes: Mapping[str, Value]) -> Iterator[str]:
    power = [(key.removeprefix("power/"), value) for key, value in changes.items() if key.startswith("power/")]
    if power:
        yield f"change {shlex.join(('/usr/bin/pmset', '-c', *(str(part) for pair in power for part in pair)))}"
    # The schedule before the preferences it writes as well.
    for key, value in sorted(changes.items(), key=lambda change: change[0] in _UPDATES):
        if key in _UPDATES:
            yield _preference(*_UPDATES[key], value)
        elif key in _COMMANDS:
            yield _COMMANDS[key].format(word=word(value))


_COMMANDS = {
    "restart_after_freeze": "change /usr/sbin/systemsetup -setrestartfreeze {word}",
    "updates/schedule": "change /usr/sbin/softwareupdate --schedule {word}",
    "application_firewall": "change /usr/libexec/ApplicationFirewall/socketfilterfw --setglobalstate {word}",
    "remote_login": _REMOTE_LOGIN,
}


def _preference(domain: str, key: str, value: Value) -> str:
    named = shlex.join((domain, key))
    if value is None:
        # Deleting what is not there is an error.
        return f"! /usr/bin/defaults read {named} >/dev/null 2>&1 || change /usr/bin/defaults delete {named}"
    return f"change /usr/bin/defaults write {named} -bool {'true' if value else 'false'}"
