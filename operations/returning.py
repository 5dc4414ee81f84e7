"""Asking a machine that may go away and come back: each question over the connection at hand, or over another.

Checked with pyinfra 3.10, whose commands look like failed ones when the connection breaks under them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from paramiko import SSHException
from pyinfra.api.exceptions import ConnectError, FactProcessError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from operations.facts import batch
from operations.remote import reconnect, run

Kinds = Mapping[str, type[FactBase[Any]]]
"""Facts without arguments, by what their answers are to be called."""


@dataclass(frozen=True)
class Clock:
    """What time it is, in seconds, and how to let some pass."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = lambda seconds: time.sleep(seconds)


class Line:
    """The connection to one machine, made anew whenever it is lost; `silence` is why there is none now."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.silence = ""

    def tell(
        self, command: str, *, timeout_seconds: int, stdin: str | None = None, show: bool = False
    ) -> CommandOutput | None:
        """What a command printed, run as root; None when it failed or the machine did not answer: `silence` says why.

        `show` prints each line as it comes.
        """
        try:
            if self.silence:
                reconnect(self._host, show_errors=False)
            succeeded, output = run(
                self._host, command, timeout_seconds=timeout_seconds, as_root=True, stdin=stdin, show=show
            )
        except (ConnectError, OSError, EOFError, SSHException) as error:
            self.silence = str(error) or type(error).__name__
            return None
        self.silence = "" if succeeded else output.stderr or "the connection broke, or the command failed"
        return output if succeeded else None

    def ask(self, kinds: Kinds, *, timeout_seconds: int) -> dict[str, Any] | None:
        """What each fact says, or `{"problem": text}` where it cannot tell; None when the machine did not answer."""
        facts = {name: (kind(), dict[str, Any]()) for name, kind in kinds.items()}
        output = self.tell(batch.together(facts), timeout_seconds=timeout_seconds)
        if output is None:
            return None
        told = batch.apart(output.stdout_lines, facts)
        return {
            name: {"problem": str(said)} if isinstance(said, FactProcessError) else said for name, said in told.items()
        }
