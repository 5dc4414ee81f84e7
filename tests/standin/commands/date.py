"""`date`: the Mac's own clock, which a fault can put wrong; macOS's date shows it, and nobody sets it here."""

from __future__ import annotations

import time

from tests.standin.commands.replies import lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

DEFAULT = "+%a %b %e %H:%M:%S %Z %Y"


def date(mac: Mac, call: Call) -> Reply:
    """`[-u] [+FORMAT]`."""
    universal = "-u" in call.argv[1:]
    rest = [argument for argument in call.argv[1:] if argument != "-u"] or [DEFAULT]
    if len(rest) > 1 or not rest[0].startswith("+"):
        return unsupported(call)
    now = time.time() + mac.machine.clock_offset_seconds
    # Python would take the parts of a UTC time for local ones when it counts seconds.
    wanted = rest[0].removeprefix("+").replace("%%", "%\0").replace("%s", str(int(now))).replace("%\0", "%%")
    return lines(time.strftime(wanted, time.gmtime(now) if universal else time.localtime(now)))


COMMANDS: dict[str, Command] = {"/bin/date": date}
