"""Steps whose failure is that of a replica and not of the run.

pyinfra drops a host whose operation fails, and with it everything that was still to be done there: nobody would be left
to take a half-done change back. So what a step of a roll does is done here, and what goes wrong is written down; the
steps after it go by that, and in the end the verdict fails the run. A connection that was lost is made anew by the next
step that needs it. Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, cast

from paramiko import SSHException
from pyinfra.api.command import FunctionCommand, PyinfraCommand, StringCommand
from pyinfra.api.exceptions import ConnectError, OperationError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.inventory import machine_name
from operations.ledger import ledger
from operations.remote import Commands, complain, current_state, reconnect, run

LOST = (OSError, EOFError, SSHException, ConnectError)
"""No connection, or none any more; no answer in time is an OSError too."""
_ALIVE_SECONDS = 20

Act = Callable[[Host], str]
"""What is done on a host; returns why it could not be done, or nothing. May raise OperationError, and what LOST is."""


def attempt(replica: str, act: Act) -> FunctionCommand:
    """The command that does something for a replica, and writes it down where that fails."""
    return FunctionCommand(_attempted, (replica, act), {})


def guarded(replica: str, commands: Commands, *, within_seconds: int) -> Commands:
    """Another operation's commands; that one of them fails, or cannot be told, is written down of the replica."""
    if not current_state().is_executing:
        yield from commands
        return
    here: Host = host
    try:
        revived(here)
        first = next(commands, None)
    except (OperationError, *LOST) as error:
        yield attempt(replica, lambda _, why=str(error): why)
        return
    if first is not None:
        yield attempt(replica, lambda on: performed(on, chain([first], commands), within_seconds))


def performed(on: Host, commands: Iterable[PyinfraCommand | str], within_seconds: int) -> str:
    """Run commands one after another: why one failed, or nothing. Raises what LOST is."""
    for command in commands:
        made = StringCommand(command) if isinstance(command, str) else command
        if isinstance(made, FunctionCommand):
            if made.execute(on.state, on, cast("Any", {})) is False:
                return "the reason is above"
            continue
        arguments: Any = {"_sudo": True, "_timeout": within_seconds}
        succeeded, output = cast("Any", made).execute(on.state, on, arguments)
        if not succeeded:
            return output.stderr or "a command failed without a word"
    return ""


def revived(on: Host) -> None:
    """See that a connection still answers, and make another where it does not. Raises what LOST is."""
    try:
        run(on, "true", timeout_seconds=_ALIVE_SECONDS)
    except LOST:
        reconnect(on)
        run(on, "true", timeout_seconds=_ALIVE_SECONDS)


def note_failure(on: Host, replica: str, why: str) -> None:
    """Write down what went wrong with a replica, and tell it."""
    said = f"{machine_name(on)}: {why}"
    ledger().fail(replica, said)
    complain(on, f"{replica}: {said}")


def _attempted(state: State, host: Host, replica: str, act: Act) -> bool:  # noqa: ARG001 - pyinfra's
    try:
        revived(host)
        why = act(host)
    except OperationError as error:
        why = str(error)
    except LOST as error:
        why = f"the connection to it was lost: {type(error).__name__} {error}".strip()
    if why:
        note_failure(host, replica, why)
    # Not a failure of this host: what was begun must still be taken back.
    return True
