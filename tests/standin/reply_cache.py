"""Replies kept for a benchmark: a read that was answered before is answered by a shell, in a millisecond or two.

Apple's commands are small C programs; a Python interpreter and a question to the resident process stand in for each
here, which on a rack of many Macs measures the stand-ins instead of the deploy. With this, every command is first a
shell script that looks for the recorded reply to the same words by root, or by anybody else. What macOS does by itself
meanwhile (a job that ends, a disk that fills) is not seen until something is changed by a command, so tests never use
it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.standin.mac import INSIDE, Call, Reply

DIRECTORY = INSIDE / "run" / "replies"
CLIENTS = "/usr/libexec/standin"
"""Where the commands themselves are, below their own paths, when the scripts have their places."""
SETTLED_SECONDS = 4.0
"""After a change nothing is recorded for so long: ports and jobs settle by themselves."""
SEPARATOR = "^"
LONGEST_WORDS = 200

SCRIPT = """\
#!/bin/sh
IFS='{separator}'
who=others
[ -w {directory} ] && who=root
reply="{directory}/$who{path}{separator}$*.sh"
[ -f "$reply" ] && command . "$reply"
exec {clients}{path} "$@"
"""

Shape = Callable[[list[str]], bool]


def script(path: str) -> str:
    """What stands at a command's path on a Mac whose replies are kept."""
    return SCRIPT.format(separator=SEPARATOR, directory=DIRECTORY, clients=CLIENTS, path=path)


def _begins(*verbs: str) -> Shape:
    return lambda words: bool(words) and words[0].startswith(verbs)


def _any(_: list[str]) -> bool:
    return True


def _shows_filter(words: list[str]) -> bool:
    return "-s" in words and not {"-E", "-e", "-d", "-f", "-F", "-X", "References"} & set(words)


READS: dict[str, Shape] = {
    "/bin/date": lambda words: words == ["-u", "+%s"],
    "/bin/df": _any,
    "/bin/launchctl": _begins("list", "print"),
    "/sbin/ifconfig": lambda words: len(words) < 2,
    "/sbin/pfctl": _shows_filter,
    "/sbin/route": _any,
    "/usr/bin/csrutil": _any,
    "/usr/bin/defaults": lambda words: words[0:1] == ["read"] and words[1:2] != [] and words[1].startswith("/"),
    "/usr/bin/dscl": lambda words: words[1:2] in (["-read"], ["-list"]),
    "/usr/bin/fdesetup": _begins("status", "supportsauthrestart"),
    "/usr/bin/ibv_devices": _any,
    "/usr/bin/ibv_devinfo": _any,
    "/usr/bin/mdutil": lambda words: "-s" in words,
    "/usr/bin/pmset": _begins("-g"),
    "/usr/bin/profiles": _any,
    "/usr/bin/rdma_ctl": _any,
    "/usr/bin/sw_vers": _any,
    "/usr/bin/uname": _any,
    "/usr/bin/xcode-select": _any,
    "/usr/libexec/ApplicationFirewall/socketfilterfw": _begins("--get"),
    "/usr/sbin/dseditgroup": lambda words: "checkmember" in words,
    "/usr/sbin/ioclasscount": _any,
    "/usr/sbin/ipconfig": _begins("getifaddr"),
    "/usr/sbin/networksetup": _begins("-list", "-get"),
    "/usr/sbin/nvram": lambda words: "=" not in "".join(words),
    "/usr/sbin/scutil": _begins("--get"),
    "/usr/sbin/softwareupdate": lambda words: words == ["--schedule"],
    "/usr/sbin/sysctl": lambda words: "=" not in "".join(words),
    "/usr/sbin/system_profiler": _any,
    "/usr/sbin/systemsetup": _begins("-get"),
}
"""Command -> whether these words only read what nothing but a command changes."""
PASSING = frozenset(["/bin/date", "/usr/bin/git", "/usr/bin/plutil", "/usr/bin/python3"])
"""Neither kept nor a change: these are about the time, or about files."""


class ReplyCache:
    """The recorded replies of one boot of one Mac."""

    def __init__(self, directory: Path = DIRECTORY, settled_seconds: float = SETTLED_SECONDS) -> None:
        self._directory = directory
        self._settled_seconds = settled_seconds
        self._changed_at = float("-inf")

    def note(self, path: str, call: Call, reply: Reply) -> None:
        """Record a read, or forget everything because of a change."""
        words = call.argv[1:]
        if path in READS and READS[path](words):
            if time.monotonic() > self._changed_at + self._settled_seconds:
                self._record(path, call, reply)
        elif path not in PASSING:
            self._changed_at = time.monotonic()
            for recorded in self._directory.iterdir():
                shutil.rmtree(recorded)

    def _record(self, path: str, call: Call, reply: Reply) -> None:
        key = SEPARATOR.join(call.argv[1:])
        if len(key) > LONGEST_WORDS or ".." in key:
            return
        file = Path(f"{self._directory}/{'root' if call.is_root else 'others'}{path}{SEPARATOR}{key}.sh")
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.new")
        new.write_bytes(_telling_time(reply) if path == "/bin/date" else _printing(reply))
        os.replace(new, file)


def _telling_time(reply: Reply) -> bytes:
    """The seconds of a clock that is as far off as it was."""
    return f"exec /usr/bin/perl -e 'print time + {int(reply.stdout) - int(time.time())}, qq(\\n)'\n".encode()


def _printing(reply: Reply) -> bytes:
    steps = [f"printf %s {shlex.quote(reply.stdout)}"] if reply.stdout else []
    steps += [f"printf %s {shlex.quote(reply.stderr)} >&2"] if reply.stderr else []
    return "\n".join([*steps, f"exit {reply.code}\n"]).encode(errors="surrogateescape")
