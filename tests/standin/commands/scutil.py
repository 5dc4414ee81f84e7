"""`scutil --get` and `--set`: the three names of a Mac. HostName is not set from the factory."""

from __future__ import annotations

from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

SUBJECT = "names"
NAMES = ("ComputerName", "LocalHostName", "HostName")


def scutil(mac: Mac, call: Call) -> Reply:
    """Read one name, or set it as root."""
    match call.argv[1:]:
        case ["--get", name] if name in NAMES:
            held = _names(mac).get(name)
            return lines(held) if held else failure(f"{name}: not set", 1)
        case ["--set", name, value] if name in NAMES:
            if not call.is_root:
                return failure("SCPreferencesCommitChanges() failed: Permission denied", 1)
            mac.memory.write(SUBJECT, {**_names(mac), name: value})
            return Reply()
        case _:
            return unsupported(call)


COMMANDS: dict[str, Command] = {"/usr/sbin/scutil": scutil}


def _names(mac: Mac) -> dict[str, str]:
    return mac.memory.read(SUBJECT, {"ComputerName": mac.name, "LocalHostName": mac.name})
