"""`systemsetup`: settings of the whole Mac. It exits 0 even when it did nothing, so read its words.

Restart after power failure and computer sleep are pmset's settings under another name.
"""

from __future__ import annotations

from tests.standin.commands import pmset
from tests.standin.commands.replies import lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

SUBJECT = "system-setup"
NOT_ROOT = "You need administrator access to run this tool... exiting!"
FULL_DISK_ACCESS = "setremotelogin: Turning Remote Login on or off requires Full Disk Access privileges."
FROM_FACTORY = {"restartfreeze": False, "usingnetworktime": True, "remotelogin": True}
LABELS = {
    "restartfreeze": "Restart After Freeze",
    "restartpowerfailure": "Restart After Power Failure",
    "usingnetworktime": "Network Time",
    "remotelogin": "Remote Login",
}


def systemsetup(mac: Mac, call: Call) -> Reply:
    """`-getX`, or `-setX on|off`; sleep takes minutes or Never."""
    arguments = [argument for argument in call.argv[1:] if argument != "-f"]
    if not call.is_root:
        return lines(NOT_ROOT)
    match arguments:
        case ["-getcomputersleep"]:
            minutes = pmset.settings(mac)["sleep"]
            return lines(f"Computer Sleep: {f'after {minutes} minutes' if minutes else 'Never'}")
        case ["-setcomputersleep", value] if value.lower() in ("never", "off") or value.isdigit():
            pmset.change(mac, sleep=int(value) if value.isdigit() else 0)
            return lines(f"setcomputersleep: {value}")
        case ["-setremotelogin", "on" | "off"]:
            return lines(FULL_DISK_ACCESS)
        case [verb] if verb.removeprefix("-get") in LABELS:
            name = verb.removeprefix("-get")
            return lines(f"{LABELS[name]}: {'On' if _is_on(mac, name) else 'Off'}")
        case [verb, "on" | "off" as value] if verb.removeprefix("-set") in LABELS:
            _turn(mac, verb.removeprefix("-set"), on=value == "on")
            return lines(f"{verb.removeprefix('-')}: {value.capitalize()}")
        case _:
            return unsupported(call)


COMMANDS: dict[str, Command] = {"/usr/sbin/systemsetup": systemsetup}


def _is_on(mac: Mac, name: str) -> bool:
    if name == "restartpowerfailure":
        return bool(pmset.settings(mac)["autorestart"])
    return mac.memory.read(SUBJECT, FROM_FACTORY).get(name, FROM_FACTORY[name])


def _turn(mac: Mac, name: str, *, on: bool) -> None:
    if name == "restartpowerfailure":
        pmset.change(mac, autorestart=int(on))
    else:
        mac.memory.write(SUBJECT, {**mac.memory.read(SUBJECT, FROM_FACTORY), name: on})
