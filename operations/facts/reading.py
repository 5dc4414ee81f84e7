"""How a fact asks several commands in one round trip, and tells their answers apart.

Every command is bounded in time: `ibv_devinfo` is known to hang for ever on a wedged driver, and macOS has no
timeout(1). `/usr/bin/perl`, which macOS 26 still carries, sets an alarm and becomes the command; when the alarm rings
the kernel ends it with SIGALRM, which a shell reports as 142. Output is asked for in the C locale.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api.exceptions import FactProcessError

_ALARM = "alarm shift; exec @ARGV; exit 127"
_MARK = "@@"
_RANG = 128 + 14
_NOT_FOUND = 127


@dataclass(frozen=True)
class Answer:
    """What one command printed, standard output and standard error together, and how it ended."""

    lines: tuple[str, ...]
    code: int

    @property
    def text(self) -> str:
        """Everything printed, as one string."""
        return "\n".join(self.lines).strip()

    @property
    def is_absent(self) -> bool:
        """Whether the command does not exist on this machine."""
        return self.code == _NOT_FOUND

    @property
    def timed_out(self) -> bool:
        """Whether the command was ended because its time was over."""
        return self.code == _RANG


def bounded(seconds: int, *argv: str) -> str:
    """The shell words that run a command for at most so many seconds."""
    return shlex.join(("/usr/bin/perl", "-e", _ALARM, str(seconds), *argv))


def asking(**commands: str) -> str:
    """One shell command that asks each of these in turn and always succeeds; read what it prints with `answers`."""
    asked = (
        f"echo '{_MARK} {name}'; ( {command} ) 2>&1; code=$?; echo; echo \"{_MARK} $code\""
        for name, command in commands.items()
    )
    return f"export LC_ALL=C; {'; '.join(asked)}"


def answers(output: Iterable[str]) -> dict[str, Answer]:
    """The answers by name, in the order asked. Raises FactProcessError when the output was cut short."""
    found: dict[str, Answer] = {}
    name: str | None = None
    lines: list[str] = []
    for line in output:
        mark, _, word = line.partition(" ")
        if mark != _MARK:
            lines.append(line)
        elif name is None:
            name, lines = word, []
        elif word.isdigit():
            found[name] = Answer(tuple(lines), int(word))
            name = None
    if name is not None or not found:
        raise FactProcessError(f"cannot read the answers: the output ended {f'within {name!r}' if name else 'at once'}")
    return found


def understood(answer: Answer, what: str) -> Answer:
    """The answer when its command succeeded; otherwise a FactProcessError that says what cannot be told."""
    if answer.timed_out:
        raise FactProcessError(f"cannot tell {what}: the command did not answer in time")
    if answer.is_absent:
        raise FactProcessError(f"cannot tell {what}: this machine does not have the command. Is it a Mac?")
    if answer.code != 0:
        raise FactProcessError(f"cannot tell {what}: exit code {answer.code}, {answer.text or 'nothing printed'}")
    return answer
