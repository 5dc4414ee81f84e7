"""Everything back as it was before the links daemon: `python -m serving.links.undo CONFIG.json`, once it is unloaded.

Needs root. Ports go back into the bridge they were in, our addresses, rules and reference to the packet filter go, the
wired memory limit becomes what it was. Prints what it did, one change a line, or that there was nothing to do. Ends 0
when everything is back, else 1 with the reason on standard error; it may be run again at any time. After a reboot
without the daemon macOS has put everything back itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from serving.boot import boot_session
from serving.configuration import LinksConfiguration
from serving.errors import CidermillError
from serving.links import commands
from serving.links.acting import Hands
from serving.links.before import restoring, untold
from serving.links.commands import Command, execute
from serving.links.decision import wanted
from serving.links.keeping import StateDirectory
from serving.links.looking import Looking, Wanted
from serving.links.observation import Before, Change, Clock, Seen, Unreadable

_ROUNDS = 3
"""Looks after changes: a filter that went off with our reference is seen only then."""
_ENDING_SECONDS = 15.0
_POLL_SECONDS = 0.2


class NotUndone(CidermillError):
    """Something is not as it was before."""


def undo(configuration: LinksConfiguration, clock: Clock, command: Command) -> list[str]:
    """Put everything back; what was done. Raises NotUndone when something is left."""
    files = StateDirectory(Path(configuration.state_directory))
    looking, hands, why = Looking(command), Hands(command, files), list[str]()
    with files.locked():
        for _ in range(_ROUNDS):
            kept = files.kept("", clock.boot)
            before = kept.before or Before(boot=clock.boot)
            asked = Wanted(limit=before.wired_limit_mb is not None, filter=before.filter_enabled is not None)
            seen = looking.look(asked, quietly=True)
            changes = [*_unrecorded(configuration, before, seen), *restoring(before, seen, kept.held)]
            unknown = [seen.fabric.text] if isinstance(seen.fabric, Unreadable) else untold(before, seen)
            if not changes and not unknown:
                files.forget()
                Path(configuration.report).unlink(missing_ok=True)
                return [did.what for did in hands.did]
            hands.make(changes, kept.held, clock)
            why = [*hands.failed.values(), *unknown] or ["it does not stay as it was put"]
    raise NotUndone(
        f"cannot put the network of {configuration.machine} back: {'; '.join(why)}. Restart the Mac, which does it too."
    )


def _unrecorded(configuration: LinksConfiguration, before: Before, seen: Seen) -> list[Change]:
    """Our addresses on ports there is no record of."""
    if isinstance(seen.fabric, Unreadable):
        return []
    changes: list[Change] = []
    for cable in configuration.cables:
        port = seen.fabric.ports.get(cable.domain_uuid)
        interface = None if port is None else seen.fabric.interfaces.get(port.interface)
        if port is None or interface is None or port.interface in before.ports:
            continue
        if wanted(cable) in interface.addresses:
            changes.append(commands.take_away(cable.peer, port.interface, cable.address))
    return changes


def main(
    arguments: list[str], pause: Callable[[float], None] = time.sleep, ending_seconds: float = _ENDING_SECONDS
) -> int:
    """The command; returns its exit code."""
    configuration = LinksConfiguration.model_validate_json(Path(arguments[0]).read_text())
    files = StateDirectory(Path(configuration.state_directory))
    until = time.monotonic() + ending_seconds
    while files.is_daemon_running():
        if time.monotonic() > until:
            print(
                f"cannot undo on {configuration.machine} while its links daemon runs. Unload it first.", file=sys.stderr
            )
            return 1
        pause(_POLL_SECONDS)
    try:
        did = undo(configuration, Clock(boot_session(), time.monotonic(), time.time()), execute)
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(did) if did else "nothing to do: everything is as it was before")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
