"""A command on a Mac that outlives the connection it was begun over, with a log that can be followed over another.

What it reads on its standard input goes through a pipe and lies in no file. Its log is locked for as long as it runs,
by flock(2), which the kernel lifts however it ends: so nobody begins it twice, and whoever comes later sees whether it
still runs. Apple's own tools may be detached so: other programs would lose the local network. macOS has no setsid(1)
and no nohup that leaves the session; /usr/bin/perl does both. Checked with perl 5.34, as macOS 26 has it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

UNDER_WAY = "it is under way already"

HELD = r"""
use strict;
use Fcntl ":flock";
my $log;
my $free = !open($log, "<", $ARGV[0]) || flock $log, LOCK_SH | LOCK_NB;
print $free ? "free\n" : "held\n";
"""
"""Perl that prints `held` while a detached command runs whose log is its argument, `free` otherwise."""

_BEGIN = r"""
use strict;
use Fcntl ":flock";
use POSIX ();
my ($under_way, $log, @command) = @ARGV;
my $given = do { local $/; <STDIN> } // "";
umask 022;
open my $out, ">>", $log or die "cannot write $log: $!\n";
my $tries = 10;  # somebody who looks whether it is locked has it for a moment
select undef, undef, undef, 0.1 until flock $out, LOCK_EX | LOCK_NB or !--$tries;
$tries or print "$under_way\n" and exit 0;
truncate $out, 0 or die "cannot write $log: $!\n";
defined(my $keeper = fork) or die "cannot begin: $!\n";
exit 0 if $keeper;

POSIX::setsid();
open STDIN, "<", "/dev/null";
open STDOUT, ">", "/dev/null";
open STDERR, ">", "/dev/null";
$SIG{PIPE} = "IGNORE";
pipe my $read, my $write or exit 1;
pipe my $hear, my $say or exit 1;
defined(my $child = fork) or exit 1;
if (!$child) {
    open STDIN, "<&", $read;
    open STDOUT, ">&", $say;
    open STDERR, ">&", $say;
    $SIG{PIPE} = "DEFAULT";
    exec { $command[0] } @command;
    print STDERR "$command[0]: $!\n";
    exit 127;
}
close $read;
close $say;
syswrite $write, $given;
close $write;
undef $given;
while (sysread $hear, my $said, 65536) {
    $said =~ tr/\r/\n/;
    syswrite $out, $said;
}
waitpid $child, 0;
my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
syswrite $out, "\n-- ended with $code\n";
"""

# Progress comes many times a second: a tenth at a time is enough. The lock is tried before the file is read, so that
# the last words are not missed.
_FOLLOW = r"""
use strict;
use Fcntl ":flock";
$| = 1;
my ($log, $seconds) = @ARGV;
my ($end, $rest, $tenth) = (time + $seconds, "", -1);
open my $said, "<", $log or print "-- gone: $!\n" and exit 0;
while (1) {
    my $runs = !flock $said, LOCK_SH | LOCK_NB;
    flock $said, LOCK_UN if !$runs;
    $rest .= $_ while sysread $said, $_, 65536;
    while ($rest =~ s/^([^\n]*)\n//) {
        my $line = $1;
        next if $line !~ /\S/;
        if ($line =~ /\b(\d+)(?:\.\d+)?%/) {
            next if int($1 / 10) == $tenth;
            $tenth = int($1 / 10);
        }
        print "$line\n";
        exit 0 if $line =~ /^-- ended with \d+$/;
    }
    print "-- gone: it left no word of its end\n" and exit 0 if !$runs;
    print "-- goes on\n" and exit 0 if time >= $end;
    select undef, undef, undef, 0.2;
}
"""


@dataclass(frozen=True)
class Followed:
    """What a detached command said, and how it is: `code` is its exit code when it has ended."""

    state: Literal["ended", "gone", "goes on"]
    lines: tuple[str, ...]
    code: int | None = None

    @property
    def words(self) -> str:
        """The last of what it said, on one line."""
        return " / ".join(self.lines[-4:]) or "nothing"


def begun(log: str, command: Sequence[str]) -> str:
    """The shell command that begins a command detached, with what it is given itself on standard input.

    The log's directory is made where it is not. It ends with 0 and UNDER_WAY when one with the same log runs already.
    """
    directory = shlex.quote(log.rpartition("/")[0])
    made = f"[ -d {directory} ] || /usr/bin/install -d -o root -g wheel -m 700 {directory} || exit 1"
    return f"{made}\n{shlex.join(('/usr/bin/perl', '-e', _BEGIN, UNDER_WAY, log, *command))}"


def following(log: str, seconds: int) -> str:
    """The shell command that prints what a detached command says, from its beginning, until it ends or time is over."""
    return shlex.join(("/usr/bin/perl", "-e", _FOLLOW, log, str(seconds)))


def followed(lines: Sequence[str]) -> Followed | None:
    """What `following` printed; None when it was cut short."""
    *said, last = lines or [""]
    ended = re.fullmatch(r"-- ended with (\d{1,3})", last)
    if ended:
        return Followed("ended", tuple(said), int(ended[1]))
    if last.startswith("-- gone: "):
        return Followed("gone", (*said, last.removeprefix("-- ")))
    return Followed("goes on", tuple(said)) if last == "-- goes on" else None
