"""The Python of a machine, and the immutable directories laid on it.

An interpreter is asked itself, because what its file is called proves nothing. A laid directory carries its own
receipt, written before it got its final name, so one without a receipt was never finished by us.
"""

from __future__ import annotations

import json
from typing import Any, TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import answers, asking, bounded, cannot_tell, in_perl, understood

RECEIPT = ".receipt.json"
# Without the modules json, platform and sysconfig, which take longer to load than Python takes to start. A C library
# that does not tell its name, as on macOS, is asked for by the long way, or has none.
_ASK = """
import os, sys
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION").split()
except (AttributeError, ValueError, OSError):
    libc = ["", ""]
    if sys.platform != "darwin":
        from platform import libc_ver
        libc = libc_ver()
platform = "%s-%s" % (sys.platform, os.uname().machine)
print('{"version": "%s", "platform": "%s", "libc": ["%s", "%s"]}' % (sys.version.split()[0], platform, *libc))
"""
_EACH = r"""
my ($root, $receipt) = @ARGV;
opendir my $listing, $root or $! == 2 ? exit 0 : die "$root: $!\n";
for my $directory (map { "$root/$_" } sort grep { !/^\./ } readdir $listing) {
    next if !-d $directory;
    print "directory $directory\n";
    open my $text, "<", "$directory/$receipt" or next;
    print <$text>, "\n";
}
"""


_LAID_AT = r"""
my ($root) = @ARGV;
opendir my $listing, $root or $! == 2 ? exit 0 : die "$root: $!\n";
for my $name (sort grep { !/^\./ } readdir $listing) {
    my @status = lstat "$root/$name";
    printf "%d %s\n", $status[9], $name if -d _;
}
"""


class InterpreterValues(TypedDict):
    """An interpreter in its own words; `libc` is name and version, two empty strings on macOS.

    `platform` is such as "darwin-arm64": the architecture that it runs as, also of a universal build.
    """

    version: str
    platform: str
    libc: list[str]


class Interpreter(FactBase[InterpreterValues | None]):
    """Version and platform of the Python at a path; None only when the machine could not be asked at all."""

    def command(self, path: str) -> str:
        """One command, run by that very Python without any site packages."""
        self.path = path
        return asking(python=bounded(20, path, "-I", "-S", "-c", _ASK))

    def process(self, output: list[str]) -> InterpreterValues:
        """Raises FactProcessError when there is no Python at the path, or it is broken."""
        answer = understood(answers(output)["python"], f"what Python {self.path} is")
        try:
            values = json.loads(answer.text)
            version, platform, (name, release) = values["version"], values["platform"], values["libc"]
            if not all(isinstance(value, str) for value in (version, platform, name, release)):
                raise TypeError(values)  # noqa: TRY301 - one answer to every other shape
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise cannot_tell(f"what Python {self.path} is", f"it printed {answer.text!r}") from error
        return InterpreterValues(version=version, platform=platform, libc=[name, release])


class Releases(FactBase[dict[str, dict[str, Any] | None] | None]):
    """The directories laid under a root and their receipts, None for one without; {} when the root is absent.

    None instead of a dict only when the machine could not be asked at all.
    """

    def command(self, root: str) -> str:
        """One command for all directories and receipts."""
        self.root = root
        return asking(laid=in_perl(_EACH, root, RECEIPT))

    def process(self, output: list[str]) -> dict[str, dict[str, Any] | None]:
        """Raises FactProcessError for a receipt that is not one line of JSON."""
        laid: dict[str, dict[str, Any] | None] = {}
        name = ""
        for line in understood(answers(output)["laid"], f"what is laid in {self.root}").lines:
            word, _, rest = line.partition(" ")
            if word == "directory":
                name = rest.rstrip("/").rpartition("/")[2]
                laid[name] = None
            elif line.strip():
                laid[name] = self._receipt(name, line)
        return laid

    def _receipt(self, name: str, line: str) -> dict[str, Any]:
        try:
            receipt = json.loads(line) if name and line.startswith("{") else None
        except (ValueError, RecursionError):
            receipt = None
        if receipt is None:
            raise cannot_tell(f"what {self.root}/{name} is", f"its receipt reads {line!r}")
        return receipt


class LaidAt(FactBase[dict[str, int] | None]):
    """When each directory under a root was laid, in seconds since 1970; {} when the root is absent.

    None instead of a dict only when the machine could not be asked at all.
    """

    def command(self, root: str) -> str:
        """One command for all directories."""
        self.root = root
        return asking(laid_at=in_perl(_LAID_AT, root))

    def process(self, output: list[str]) -> dict[str, int]:
        """Raises FactProcessError for a line that is no time and name."""
        times: dict[str, int] = {}
        for line in filter(str.strip, understood(answers(output)["laid_at"], f"how old {self.root} is").lines):
            time, _, name = line.partition(" ")
            if not (time.isdecimal() and name):
                raise cannot_tell(f"how old {self.root} is", f"it printed {line!r}")
            times[name] = int(time)
        return times
