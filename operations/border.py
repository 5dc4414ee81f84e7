"""The border to pyinfra, crossed here and nowhere else: its types are partial, and its errors need words.

Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, ParamSpec, TypeVar, cast

import gevent
from pyinfra import logger
from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_state

Commands = Generator[PyinfraCommand | str, None, None]
"""What an operation yields."""

P = ParamSpec("P")
T = TypeVar("T")


def operation(function: Callable[P, Commands]) -> PyinfraOperation[P]:
    """pyinfra's decorator, with its types."""
    return cast("Any", pyinfra_operation)()(function)


def read(host: Host, fact: type[FactBase[T | None]], **arguments: Any) -> T:
    """What a fact says of a host now.

    Raises OperationError when it says nothing: pyinfra goes on with None where a fact failed, we don't.
    """
    value: T | None = cast("Any", host).get_fact(fact, **arguments)
    if value is None:
        raise OperationError(f"cannot go on with {host.name}: {fact.__name__} could not be read. The reason is above.")
    return value


def run(
    host: Host,
    command: str,
    *,
    timeout_seconds: int,
    as_root: bool = False,
    show: bool = False,
    stdin: str | None = None,
) -> tuple[bool, CommandOutput]:
    """Run a command now: whether it succeeded, and what it printed. `show` prints each line as it comes.

    Raises TimeoutError, OSError or paramiko's SSHException when there is no answer at all.
    """
    return cast("Any", host).run_shell_command(
        StringCommand(command),
        print_output=show,
        print_input=False,
        _timeout=timeout_seconds,
        _sudo=as_root,
        _stdin=stdin,
    )


def complain(host: Host, text: str) -> None:
    """Tell the operator, in red and with the host's name, why something cannot go on."""
    cast("Any", host).log_styled(text, fg="red", log_func=logger.error)


def together(calls: Iterable[Callable[[], None]]) -> None:
    """Make all calls at the same time, and return when the last has; the first to raise raises here."""
    greenlets = cast("Any", gevent)
    greenlets.joinall([greenlets.spawn(call) for call in calls], raise_error=True)


def current_state() -> State:
    """pyinfra's state of this run, itself and not the proxy, so that it can be a key."""
    return cast("State", ctx_state.get())
