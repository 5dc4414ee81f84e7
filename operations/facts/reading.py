"""How a fact asks several commands in one round trip, and tells their answers apart.

Every command is bounded in time: `ibv_devinfo` is known to hang for ever on a wedged driver, and macOS has no
timeout(1). One `/usr/bin/perl`, which macOS 26 still carries, starts the commands of a fact one after another. Each has
an alarm set; when it rings the kernel ends the command with SIGALRM, told as 142, as a shell does. What does not even
end then, because the kernel holds it, is left behind. No command can print our marks: perl puts a blank before them.
Output is asked for in the C locale, and what is no UTF-8 becomes question marks, which pyinfra would fail on.

A command that several facts ask for is asked once. What no command of Apple's is needed for is asked in perl itself, by
a process that is forked and starts nothing.

All of it comes as one line at the end, put together by record separators: paramiko takes a packet for each write and
pyinfra a round for each line, which for many machines costs more than all that is done with them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from pyinfra.api.exceptions import FactProcessError

_MARK = "@@"
_SEPARATOR = "\x1e"
_RANG = 128 + 14
_NOT_FOUND = 127
_SHELL_SECONDS = 60
_SHOWN_CHARACTERS = 400
_NUMBER = re.compile(r"[0-9]{1,18}")

_MARKED = re.compile(rf"{_MARK}(?: (.*))?")

# Arguments: seconds, number of words, the words of a command; then, as often as there is one more, the mark that
# begins its answer and the same again. A command -e is perl to be run here. $! is 2 when there is no such file.
# Digest::SHA is loaded once for all in perl that names it, before the fork; where that fails, the one that needs it
# says so.
_PERL = r"""
open STDIN, "<", "/dev/null";
my ($told, %answers) = "";
while (@ARGV) {
    my ($seconds, $count) = splice @ARGV, 0, 2;
    my @command = splice @ARGV, 0, $count;
    $told .= $answers{join "\0", @command} //= answer($seconds, @command);
    $told .= shift(@ARGV) . "\n" if @ARGV;
}
chomp $told;
$told =~ tr/\n/\x1e/;
print $told, "\n";

sub answer {
    my ($seconds, @command) = @_;
    my ($code, $said) = (142, "");
    my $in_perl = $command[0] eq "-e";
    eval { require Digest::SHA } if $in_perl && $command[1] =~ /Digest::SHA/;
    pipe my $read, my $write or die;
    defined(my $child = fork) or die;
    if (!$child) {
        open STDOUT, ">&", $write;
        open STDERR, ">&", $write;
        alarm $seconds;
        if ($in_perl) {
            (undef, my $asked, @ARGV) = @command;
            eval "$asked\n; 1" and exit 0;
            print STDERR $@;
            exit 255;
        }
        exec { $command[0] } @command;
        print STDERR "$command[0]: $!\n";
        exit($! == 2 ? 127 : 126);
    }
    close $write;
    eval {
        local $SIG{ALRM} = sub { die };
        alarm $seconds + 1;
        while (sysread $read, $said, 65536, length $said) {
        }
        waitpid $child, 0;
        $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    };
    alarm 0;
    kill 9, $child if $@;
    if (!utf8::decode(my $text = $said)) {
        $said = join "", map { utf8::decode(my $line = $_) ? $_ : s/[\x80-\xff]/?/gr } split /^/m, $said;
    }
    $said =~ tr/\x1e/?/;
    $said =~ s/^@@/ @@/mg;
    return "$said\n@@ $code\n";
}
"""


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


class Answers(dict[str, Answer]):
    """The answers by name, in the order asked. Asking for one that is missing raises FactProcessError."""

    def __missing__(self, name: str) -> Answer:
        raise _unreadable(f"{name!r} is not among {list(self)}")


@dataclass(frozen=True)
class Bounded:
    """A command that has at most so many seconds."""

    seconds: int
    argv: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The command as our perl takes it."""
        return [str(self.seconds), str(len(self.argv)), *self.argv]


def bounded(seconds: int, *argv: str) -> Bounded:
    """A command that has at most so many seconds; one of those given to `asking`."""
    return Bounded(seconds, argv)


class Asking(str):
    """A shell command that asks several commands in turn; `commands` are those, by the names of their answers."""

    commands: Mapping[str, str | Bounded]


def in_perl(asked: str, *arguments: str, seconds: int = _SHELL_SECONDS) -> Bounded:
    """Perl to be run where the commands are started, with arguments in @ARGV. Digest::SHA is there if it is named."""
    return Bounded(seconds, ("-e", asked, *arguments))


AS_WHOM = in_perl('print "$>\\n"')
"""The number of the user who asks, as `id -u` tells it."""


def asking(**commands: str | Bounded) -> Asking:
    """One shell command that asks each of these in turn, shell text or bounded; read what it prints with `answers`."""
    runs = groupby(commands.items(), key=lambda named: isinstance(named[1], Bounded))
    asked = Asking("; ".join(["export LC_ALL=C", *(_asking(tuple(run)) for _, run in runs)]))
    asked.commands = commands
    return asked


def beginning(name: str) -> str:
    """The mark that begins an answer."""
    return f"{_MARK} {name}"


@cache
def in_one_perl(marked: tuple[tuple[str, str | Bounded], ...], end: str) -> str:
    """The same in one process for many: each command after the mark that begins its answer, and a mark at the end.

    Marks may be several lines. Shell text gets a limit too.
    """
    (first, _), *_ = marked
    words: list[str] = []
    for place, (mark, command) in enumerate(marked):
        run = command if isinstance(command, Bounded) else bounded(_SHELL_SECONDS, "/bin/sh", "-c", command)
        words += [*([mark] if place else []), *run.words]
    begun = f"printf '%s\\n' {shlex.quote(first)}"
    return f"export LC_ALL=C; {begun}; {shlex.join(('/usr/bin/perl', '-e', _PERL, *words, end))}"


@cache  # The same for all machines that are asked the same: to quote it costs more than all that is done with it.
def _asking(commands: tuple[tuple[str, str | Bounded], ...]) -> str:
    """The shell command for neighbours of one kind; the shell begins the first answer."""
    parts: list[str] = []
    words: list[str] = []
    for name, command in commands:
        mark = beginning(name)
        if isinstance(command, Bounded):
            words += [mark, *command.words]
        else:
            parts.append(f"echo '{mark}'; ( {command} ) 2>&1; code=$?; echo; echo \"{_MARK} $code\"")
    if words:
        parts.append(f"echo '{words[0]}'; {shlex.join(('/usr/bin/perl', '-e', _PERL, *words[1:]))}")
    return "; ".join(parts)


def answers(output: Iterable[str]) -> Answers:
    """The answers by name. Raises FactProcessError when the output was cut short or something is between answers."""
    found = Answers()
    name: str | None = None
    lines: list[str] = []
    for line in lines_of(output):
        marked = _MARKED.fullmatch(line)
        if marked is None:
            lines.append(line)
            continue
        word = marked[1] or ""
        if name is None:
            if word in found or (found and lines):
                raise _unreadable(f"before {word!r} came {list(found)} and {lines}")
            name, lines = word, []
        elif (code := number(word)) is None:
            raise _unreadable(f"{name!r} has no end before {word!r}")
        else:
            found[name] = Answer(tuple(lines), code)
            name, lines = None, []
    if name is not None or not found or lines:
        raise _unreadable(f"the output ended {f'within {name!r}' if name else 'at once'}")
    return found


def lines_of(output: Iterable[str]) -> Iterator[str]:
    """The lines that were put together into one."""
    return (line for put_together in output for line in put_together.split(_SEPARATOR))


def _unreadable(seen: str) -> FactProcessError:
    return FactProcessError(f"cannot read the answers: {shown(seen)}")


def understood(answer: Answer, what: str) -> Answer:
    """The answer when its command succeeded; otherwise a FactProcessError that says what cannot be told."""
    if answer.timed_out:
        raise cannot_tell(what, "the command did not answer in time")
    if answer.is_absent:
        raise cannot_tell(what, "this machine does not have the command. Is it a Mac?")
    if answer.code != 0:
        raise cannot_tell(what, f"exit code {answer.code}, {answer.text or 'nothing printed'}")
    return answer


def cannot_tell(what: str, seen: str) -> FactProcessError:
    """The error that says what cannot be told, and what was seen instead."""
    return FactProcessError(shown(f"cannot tell {what}: {seen}"))


def shown(text: str) -> str:
    """A text as a message can carry it: on one line, of bearable length, and with nothing that moves a terminal."""
    plain = text.strip()
    if not plain.isprintable():
        plain = "".join(character if character.isprintable() else " " for character in plain)
    return plain if len(plain) <= _SHOWN_CHARACTERS else f"{plain[:_SHOWN_CHARACTERS]}..."


def number(text: str) -> int | None:
    """The whole number that a text is; None for signs, other alphabets' digits and more digits than any count has."""
    return int(text) if _NUMBER.fullmatch(text) else None
