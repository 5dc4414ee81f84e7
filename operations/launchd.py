"""LaunchDaemons: what launchd runs is what is declared.

launchd reads a plist only when the job is bootstrapped, and `bootout` returns before the job is gone. So a plist on
disk is replaced only between the two, while nothing of that label is loaded: what is loaded was loaded from what is on
disk, also after a run that was cut off anywhere. A bootstrap soon after a bootout may fail with 5 for a while.
`launchctl enable` leaves an entry that no command removes again, so it is called only for a label that is disabled.
Checked against launchctl of macOS 26.5.
"""

from __future__ import annotations

import hashlib
import plistlib
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import OperationValueError
from pyinfra.api.host import Host
from pyinfra.context import host

from operations.facts.launchd import DIRECTORY, Daemon, LaunchDaemons
from operations.remote import Commands, differs, operation, read

_NOTHING = Daemon(plist_sha256=None, loaded=False, pid=None, state="not loaded", last_exit="", disabled=False)

# launchd sends SIGTERM, waits for the job's own exit timeout, then SIGKILL. An exit timeout of 0 means no SIGKILL.
_UNLOADED = """
limit=$(launchctl print "system/$label" 2>/dev/null | awk '/^\\texit timeout = / { print $4 }')
if [ "${limit:-5}" = 0 ]; then limit=600; fi
launchctl bootout "system/$label" 2>/dev/null || true
tries=0
while launchctl print "system/$label" >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt $((10 * (${limit:-5} + 10))) ]; then
    echo "cannot unload $label: it is still there $((${limit:-5} + 10)) s after bootout. Restart the Mac." >&2
    exit 1
  fi
  sleep 0.1
done
"""
_STAGED = 'chown root:wheel "$staged"\nchmod 644 "$staged"'
_PLACED = 'mv -f "$staged" "$plist"'
_ENABLED = 'launchctl enable "system/$label"'
_LOADED = """
tries=0
until said=$(launchctl bootstrap system "$plist" 2>&1); do
  code=$?
  tries=$((tries + 1))
  if [ $code -ne 5 ] || [ $tries -ge 15 ]; then
    echo "cannot load $label: launchctl ended with $code and said: $said" >&2
    exit 1
  fi
  if launchctl print "system/$label" >/dev/null 2>&1; then break; fi
  sleep 1
done
launchctl print "system/$label" >/dev/null
"""


@operation
def daemon(label: str, *, plist: Mapping[str, Any], loaded: bool = True) -> Commands:
    """A LaunchDaemon with this plist, loaded, or there but disabled and not loaded.

    launchd.daemon(
        name="Load the agent",
        label="dev.example.agent",
        plist={"Label": "dev.example.agent", "ProgramArguments": ["/opt/example/agent"], "KeepAlive": True},
    )
    """
    yield from commands(host, label, plist, loaded=loaded)


@operation
def undeclared(prefix: str, *, declared: Collection[str]) -> Commands:
    """No daemon whose label begins with `prefix` but the declared ones: others are unloaded and their plists removed.

    launchd.undeclared(name="Remove daemons no longer declared", prefix="dev.example.", declared={"dev.example.agent"})
    """
    seen = read(host, LaunchDaemons, prefix=prefix)
    present = {label for label, daemon in seen.items() if daemon["loaded"] or daemon["plist_sha256"]}
    if present <= set(declared):
        host.noop(f"every daemon under {prefix} is declared")
    strangers = sorted(present - set(declared))
    for label in strangers:
        differs(label, seen="there", needed="not declared")
    yield from map(removed, strangers)


def commands(on: Host, label: str, plist: Mapping[str, Any], *, loaded: bool = True) -> Commands:
    """What brings a daemon to this plist, loaded or not; nothing where it is so."""
    if plist.get("Label") != label:
        raise OperationValueError(f"cannot load {label}: its plist is labelled {plist.get('Label')!r}.")
    text = _text(plist)
    seen = read(on, LaunchDaemons, prefix=family(label)).get(label, _NOTHING)
    same = seen["plist_sha256"] == _digest(text)
    if same and (seen["loaded"], seen["disabled"]) == (loaded, not loaded):
        on.noop(f"{label} is {'loaded' if loaded else 'disabled'} with this plist")
        return
    differs(label, seen=_told(seen, same=same), needed=f"this plist, {'loaded' if loaded else 'disabled'}")
    if not same:
        yield StringCommand(f"umask 022; cat > {shlex.quote(_staged(label))}", _stdin=text)
    unload = seen["loaded"] and not (same and loaded)
    yield _script(label, _steps(same=same, unload=unload, enable=seen["disabled"], load=loaded))


def family(label: str) -> str:
    """Everything up to the last dot of a label: asked for all labels of a family, the one fact is read once."""
    return label[: label.rfind(".") + 1] or label


def removed(label: str, *, after: str = "", enable: bool = False) -> StringCommand:
    """The command that unloads a daemon, runs the shell commands `after`, and removes the plist once they succeeded.

    `enable` lifts the override of a label that is disabled; else it would outlive the plist.
    """
    return _script(label, "\n".join((_UNLOADED, after, _ENABLED if enable else "", 'rm -f "$plist" "$staged"')))


def restored(label: str, kept: str) -> StringCommand:
    """The command that loads a daemon with a plist that was kept, in place of the one that is there; without one it
    unloads nothing. It prints which of the two.
    """
    steps = (
        f"kept={shlex.quote(kept)}",
        '[ -f "$kept" ] || { echo "nothing kept"; exit 0; }',
        'if cmp -s "$kept" "$plist" && launchctl print "system/$label" >/dev/null 2>&1; then',
        'echo "as kept"; exit 0; fi',
        'umask 022; cp "$kept" "$staged"',
        _STAGED,
        _UNLOADED,
        _PLACED,
        _LOADED,
        'echo "restored"',
    )
    return _script(label, "\n".join(steps))


def differing(seen: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The machines on which a daemon (`label`, `plist`) is not loaded as wanted, by machine.

    `seen`: what was looked at on each machine, `daemons` among it.
    """
    return frozenset(name for name, daemon in wanted.items() if not is_loaded(seen[name]["daemons"], **daemon))


def is_loaded(daemons: Mapping[str, Daemon], label: str, plist: Mapping[str, Any]) -> bool:
    """Whether a label is loaded with this plist, by what a look at its family told."""
    seen = daemons.get(label, _NOTHING)
    return (seen["plist_sha256"], seen["loaded"], seen["disabled"]) == (_digest(_text(plist)), True, False)


def path_of(label: str) -> str:
    """Where the plist of a label lies."""
    return f"{DIRECTORY}/{label}.plist"


def _text(plist: Mapping[str, Any]) -> str:
    return plistlib.dumps(dict(plist), sort_keys=True).decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _told(seen: Daemon, *, same: bool) -> str:
    plist = "this plist" if same else "another plist" if seen["plist_sha256"] else "no plist"
    return f"{plist}, {'loaded' if seen['loaded'] else 'not loaded'}{', disabled' if seen['disabled'] else ''}"


def _steps(*, same: bool, unload: bool, enable: bool, load: bool) -> str:
    loaded = f"{_ENABLED if enable else ''}\n{_LOADED}"
    return "\n".join(
        (
            "" if same else _STAGED,
            _UNLOADED if unload else "",
            "" if same else _PLACED,
            loaded if load else 'launchctl disable "system/$label"',
        )
    )


def _script(label: str, steps: str) -> StringCommand:
    names = f"label={shlex.quote(label)}\nplist={shlex.quote(path_of(label))}\nstaged={shlex.quote(_staged(label))}"
    return StringCommand(f"set -eu\n{names}\n{steps}")


def _staged(label: str) -> str:
    # On the same volume, so that the move is atomic, and by its ending nothing that launchd would load at a start.
    return f"{DIRECTORY}/.{label}.plist.new"
