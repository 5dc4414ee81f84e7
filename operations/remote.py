"""The border to pyinfra, crossed here and nowhere else: its types are partial, and its errors need words.

Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import gevent
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import facts
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.command import FunctionCommand, PyinfraCommand, StringCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.operation import operation as pyinfra_operation  # pyright: ignore[reportUnknownVariableType] - partial
from pyinfra.api.state import State
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_host, ctx_state

from operations.rehearsal import differs, rehearsal, rehearsed

__all__ = [
    "Commands",
    "complain",
    "current_state",
    "differs",
    "operation",
    "read",
    "reconnect",
    "run",
    "together",
    "working_on",
]

Commands = Generator[PyinfraCommand | str, None, None]
"""What an operation yields."""

P = ParamSpec("P")
T = TypeVar("T")


def operation(function: Callable[P, Commands]) -> PyinfraOperation[P]:
    """pyinfra's decorator, with its types, and with a clean end for an OperationError.

    While pyinfra prepares, one ends the run with its text alone. While it executes, gevent would print a traceback for
    every host, so there it becomes a step that fails with the text. In a rehearsal it is only asked what it would do,
    and after one that found nothing to do it is not even registered.
    """

    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> Commands:
        try:
            yield from function(*args, **kwargs)
        except OperationError as error:
            if not current_state().is_executing:
                raise
            yield FunctionCommand(_refused, (str(error),), {})

    registered = cast("Any", pyinfra_operation)()(told)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> Any:
        if rehearsal().is_on:
            return _rehearse(function, args, kwargs)
        return None if rehearsal().is_settled else registered(*args, **kwargs)

    cast("Any", called)._inner = told
    return cast("Any", called)


def _rehearse(function: Callable[..., Commands], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    condition = kwargs.get("_if")
    if condition is None or condition():
        own = {name: value for name, value in kwargs.items() if name != "name" and not name.startswith("_")}
        rehearsed(str(kwargs.get("name", function.__name__)), function(*args, **own))


def _refused(state: State, host: Host, reason: str) -> bool:  # noqa: ARG001 - pyinfra passes it
    complain(host, reason)
    return False


def read(host: Host, fact: type[FactBase[T | None]], **arguments: Any) -> T:
    """What a fact says of a host now.

    Raises OperationError when it says nothing: pyinfra goes on with None where a fact failed, we don't.
    """
    if rehearsal().is_on:
        known, answer = rehearsal().recall(host, fact, arguments)
        if known:
            return answer
    # Not `host.get_fact`: where a host must not fail, that ends the run by a traceback of gevent's for every host.
    value: T | None = cast("Any", facts).get_fact(host.state, host, fact, kwargs=arguments, apply_failed_hosts=False)
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
    _require_connection(host)
    return cast("Any", host).run_shell_command(
        StringCommand(command),
        print_output=show,
        print_input=False,
        _timeout=timeout_seconds,
        _sudo=as_root,
        _stdin=stdin,
    )


def _require_connection(host: Host) -> None:
    """Raise an SSHException where one was given up and none could be made: paramiko would trip over an attribute."""
    if isinstance(host.connector, SSHConnector):
        client = host.connector.client
        if client is None or client.get_transport() is None:
            raise SSHException("there is no connection")


def complain(host: Host, text: str) -> None:
    """Tell the operator, in red and with the host's name, why something cannot go on."""
    cast("Any", host).log_styled(text, fg="red", log_func=logger.error)


def together(calls: Iterable[Callable[[], None]]) -> None:
    """Make all calls at the same time, and return when the last has; the first to raise raises here."""
    greenlets = cast("Any", gevent)
    greenlets.joinall([greenlets.spawn(call) for call in calls], raise_error=True)


def reconnect(host: Host, *, show_errors: bool = True) -> None:
    """Give up the connection to a machine and make another. Raises pyinfra's ConnectError when that fails."""
    if not isinstance(host.connector, LocalConnector):
        host.disconnect()
        cast("Any", host).connect(raise_exceptions=True, show_errors=show_errors)


@contextmanager
def working_on(host: Host) -> Generator[None, None, None]:
    """Within it, this host is the one that deploy files and operations are about."""
    state = current_state()
    with cast("Any", ctx_state).use(state), cast("Any", ctx_host).use(host):
        yield


def current_state() -> State:
    """pyinfra's state of this run, itself and not the proxy, so that it can be a key."""
    return cast("State", ctx_state.get())
