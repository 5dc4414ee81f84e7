"""`pmset`: power settings of a desktop Mac, remembered across reboots.

Keys macOS knows and a desktop lacks are accepted and forgotten, as there.
"""

from __future__ import annotations

from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Machine, Reply

SUBJECT = "power-settings"
EX_USAGE, EX_NOPERM = 64, 77
SOURCES = ("-a", "-c")
"""Every power source, or mains: the same on a Mac without a battery."""
IGNORED = frozenset({"acwake", "autopoweroff", "halfdim", "hibernatemode", "lessbright", "lidwake", "proximitywake"})
NAMES = ("standby", "ttyskeepawake", "powernap", "displaysleep", "womp", "networkoversleep", "sleep", "tcpkeepalive")
THERM = tuple(f"Note: No {what} has been recorded" for what in ("thermal warning level", "performance warning level"))


def settings(mac: Mac) -> dict[str, int]:
    """Every setting, in the order pmset prints them."""
    return {**_from_factory(mac.machine), **mac.memory.read(SUBJECT, {})}


def change(mac: Mac, **values: int) -> None:
    """Remember settings from now on."""
    mac.memory.write(SUBJECT, {**mac.memory.read(SUBJECT, {}), **values})


def pmset(mac: Mac, call: Call) -> Reply:
    """Show with `-g`, set with `-a`."""
    match call.argv[1:]:
        case ["-g"] | ["-g", "live"]:
            return Reply(stdout=_live(mac))
        case ["-g", "custom"]:
            return lines("AC Power:", *_rows(settings(mac)))
        case ["-g", "batt"] | ["-g", "ps"]:
            return lines("Now drawing from 'AC Power'")
        case ["-g", "therm"]:
            return lines(*THERM, "Note: No CPU power status has been recorded")
        case [source, *pairs] if source in SOURCES and pairs and len(pairs) % 2 == 0:
            return _set(mac, call, pairs)
        case _:
            return unsupported(call)


COMMANDS: dict[str, Command] = {"/usr/bin/pmset": pmset}


def _from_factory(machine: Machine) -> dict[str, int]:
    mode = "powermode" if machine.chip.split()[-1] in ("Pro", "Max", "Ultra") else "lowpowermode"
    values = dict.fromkeys(("Sleep On Power Button", mode, *NAMES, "autorestart", "disksleep", "SleepServices"), 0)
    ones = ("Sleep On Power Button", "ttyskeepawake", "powernap", "womp", "sleep", "tcpkeepalive")
    return values | dict.fromkeys(ones, 1) | {"displaysleep": 10, "disksleep": 10}


def _rows(values: dict[str, int]) -> list[str]:
    return [f" {name:<20} {value}" for name, value in values.items() if name != "disablesleep"]


def _live(mac: Mac) -> str:
    values = settings(mac)
    disabled = f" SleepDisabled\t\t{values['disablesleep']}\n" if "disablesleep" in values else ""
    rows = [f"{row} (sleep prevented by powerd)" if row.startswith(" sleep ") else row for row in _rows(values)]
    body = "".join(f"{row}\n" for row in rows)
    return f"System-wide power settings:\n{disabled}Currently in use:\n{body}"


def _set(mac: Mac, call: Call, pairs: list[str]) -> Reply:
    if not call.is_root:
        return failure("'pmset' must be run as root...", EX_NOPERM)
    known = {*settings(mac), "disablesleep"}
    asked = dict(zip(pairs[::2], pairs[1::2], strict=True))
    wrong = [name for name, value in asked.items() if name not in known | IGNORED or not value.isdigit()]
    if wrong:
        return failure(f"Usage: pmset <options>\npmset: cannot set {', '.join(wrong)}", EX_USAGE)
    change(mac, **{name: int(value) for name, value in asked.items() if name in known})
    return Reply()
