"""`mdutil` and `tmutil`: what macOS does by itself in the background, Spotlight's index and Time Machine's backups."""

from __future__ import annotations

from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

INDEXING = "spotlight-indexing"
BACKUPS = "time-machine"
"""Memory subjects: whether each is on."""
VOLUMES = ("/", "/System/Volumes/Data")


def mdutil(mac: Mac, call: Call) -> Reply:
    """`-s VOLUME`, `-a -s`, and `-a -i on|off` as root."""
    match call.argv[1:]:
        case ["-s", volume] if volume in VOLUMES:
            return lines(*_indexing(mac, [volume]))
        case ["-a", "-s"] | ["-sa"] | ["-as"]:
            return lines(*_indexing(mac, VOLUMES))
        case ["-a", "-i", "on" | "off" as word] | ["-i", "on" | "off" as word, "-a"]:
            if not call.is_root:
                return failure("mdutil: must be run as root", 1)
            mac.memory.write(INDEXING, word == "on")
            return lines(*_indexing(mac, VOLUMES))
        case _:
            return unsupported(call)


def _indexing(mac: Mac, volumes: tuple[str, ...] | list[str]) -> list[str]:
    # The blank at the end is macOS's, and is there only when it is on.
    state = "Indexing enabled. " if mac.memory.read(INDEXING, True) else "Indexing disabled."
    return [line for volume in volumes for line in (f"{volume}:", f"\t{state}")]


def tmutil(mac: Mac, call: Call) -> Reply:
    """`disable` and `enable` as root, silently; `destinationinfo`: there is none."""
    match call.argv[1:]:
        case ["disable" | "enable" as word]:
            if not call.is_root:
                return failure(f"tmutil: {word} requires root privileges.", 77)
            mac.memory.write(BACKUPS, word == "enable")
            return Reply()
        case ["destinationinfo"]:
            return failure("tmutil: No destinations configured.", 0)
        case _:
            return unsupported(call)


COMMANDS: dict[str, Command] = {"/usr/bin/mdutil": mdutil, "/usr/bin/tmutil": tmutil}
