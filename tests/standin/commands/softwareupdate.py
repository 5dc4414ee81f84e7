"""`softwareupdate`: the schedule, and a list that is always empty. Updates themselves are not stood in for."""

from __future__ import annotations

from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

SCHEDULE = "update-schedule"
"""Memory subject: whether macOS looks for updates by itself."""


def softwareupdate(mac: Mac, call: Call) -> Reply:
    """`-l`, and `--schedule [on|off]`."""
    match call.argv[1:]:
        case ["-l" | "--list"]:
            found = "Software Update Tool\n\nFinding available software\n"
            return Reply(stdout=found, stderr="No new software available.\n")
        case ["--schedule"]:
            return lines(f"Automatic checking for updates is turned {_word(mac.memory.read(SCHEDULE, True))}")
        case ["--schedule", "on" | "off" as word]:
            if not call.is_root:
                return failure("softwareupdate: must be run as root to change the schedule", 1)
            mac.memory.write(SCHEDULE, word == "on")
            return lines(f"Automatic checking for updates is turned {word}")
        case _:
            return unsupported(call)


def _word(on: bool) -> str:
    return "on" if on else "off"


COMMANDS: dict[str, Command] = {"/usr/sbin/softwareupdate": softwareupdate}
