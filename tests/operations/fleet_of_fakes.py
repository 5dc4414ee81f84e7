"""Operations on hosts that answer what they were told, fail on the rest, and remember what was done to them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_state

World = Mapping[str, list[str]]
"""What facts read: the first section a fact asks for, and the lines it then prints."""

Behaviour = Callable[["Machine", str], "tuple[bool, list[str]] | None"]
"""How a command ends and what it prints; None: well, and nothing. It may raise, and change the machine's world."""


class Machine(FakeConnector):
    """Facts are answered from its world; every other command is remembered, with what it was given on stdin."""

    world: World
    failing: str | None

    def __init__(self, state: State, host: Any) -> None:
        super().__init__(state, host)
        self.done: list[str] = []
        self.given: list[str | None] = []
        self.sent: dict[str, bytes] = {}
        self.world, self.failing = {}, None
        self.name = ""
        self.behaviour: Behaviour = lambda _machine, _text: None
        self.log: list[tuple[str, str]] = []

    def run_shell_command(self, command: Any, *_: Any, **arguments: Any) -> tuple[bool, CommandOutput]:
        text = command if isinstance(command, str) else command.get_raw_value()
        if text.startswith("export LC_ALL=C; echo '@@ "):
            return self._printed(self.world[text.split("'@@ ")[1].split("'")[0]])
        if "'@@@ 0\n" in text[:50]:
            return self._printed(self._many(text))
        if text == "true":
            self.behaviour(self, text)
            return True, CommandOutput([])
        self.done.append(text)
        self.log.append((self.name, text))
        self.given.append(arguments.get("_stdin"))
        told = self.behaviour(self, text)
        if told is not None:
            succeeded, lines = told
            return succeeded, CommandOutput([OutputLine("stdout" if succeeded else "stderr", line) for line in lines])
        if self.failing is not None and self.failing in text:
            return False, CommandOutput([OutputLine("stderr", "it failed")])
        return True, CommandOutput([])

    def _many(self, text: str) -> list[str]:
        """What a look at many facts prints; one that the world does not know prints nothing."""
        asked = re.findall(r"@@@ (\d+)\n@@ (\w+)", text)
        parts = [[f"@@@ {n}", *self.world.get(name, []), "", f"@@@ {n} ended 0"] for n, name in asked]
        return [line for part in parts for line in part]

    def _printed(self, lines: list[str]) -> tuple[bool, CommandOutput]:
        return True, CommandOutput([OutputLine("stdout", line) for line in lines])

    def put_file(self, filename_or_io: Any, remote_filename: str, **_: Any) -> bool:
        self.sent[remote_filename] = filename_or_io.read(-1)
        return True


@dataclass
class Fleet:
    """Hosts by machine name, each with its world; run operations on all of them."""

    worlds: Mapping[str, World]
    failing: str | None = None
    behaviour: Behaviour | None = None
    log: list[tuple[str, str]] = field(default_factory=list)
    """Machine and command of everything that was done, in order."""
    said: list[str] = field(default_factory=list)
    kind: type[Machine] = Machine

    def __post_init__(self) -> None:
        names = [(f"@fake/{name}", {"machine": name, "fake_delay": 0, "fake_delay_jitter": 0}) for name in self.worlds]
        self.state = State(Inventory((names, {})), Config(FAIL_PERCENT=0))
        self.state.print_noop_info = True
        self.machines: dict[str, Machine] = {}
        for host in self.state.inventory:
            machine = self.kind(self.state, host)
            machine.world, machine.failing = self.worlds[host.data.machine], self.failing
            machine.name, machine.log = host.data.machine, self.log
            machine.behaviour = self.behaviour or machine.behaviour
            host.connector = machine
            self.machines[host.data.machine] = machine
        connect_all(self.state)

    def prepare(self, operation: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Prepare one operation on all hosts, as a deploy file does."""
        add_op(self.state, operation, *args, **kwargs)

    def execute(self) -> bool:
        """Execute what was prepared: whether no host failed."""
        handler = _Listening(self.said)
        logger = logging.getLogger("pyinfra")
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            with ctx_state.use(self.state):
                run_ops(self.state)
        except PyinfraError:
            return False
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        return not self.state.failed_hosts


class _Listening(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage().strip())


def applied(operation: Callable[..., Any], world: World, /, *args: Any, **kwargs: Any) -> tuple[Machine, str]:
    """One operation on one host: the machine afterwards, and the reason when there was nothing to do ("" otherwise)."""
    fleet = Fleet({"mac-1": world})
    fleet.prepare(operation, *args, **kwargs)
    fleet.execute()
    reasons = [line.partition("noop: ")[2] for line in fleet.said if "noop: " in line]
    return fleet.machines["mac-1"], reasons[-1] if reasons else ""
