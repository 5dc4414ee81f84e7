"""What a headless server needs set on a Mac: power, restarts, updates, Remote Login, FileVault, application firewall.

Relies on the words of Apple's tools, checked against macOS 26.3: `pmset -g custom` prints a block for each source of
power, with names that may hold blanks and values that may be followed by words in parentheses, and leaves out what this
Mac does not support; `systemsetup` ends with 0 also when it refuses, so only its sentence counts; `defaults read`
prints the keys of a domain four blanks from the left, and ends with 1 and "does not exist" for a domain never written;
`launchctl print` ends with 113 for a job not loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn, TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.launchd import disabled_labels
from operations.facts.reading import AS_WHOM, Answer, answers, asking, bounded, cannot_tell, number, understood

_DOMAINS = {
    "updates": "/Library/Preferences/com.apple.SoftwareUpdate",
    "store": "/Library/Preferences/com.apple.commerce",
}
"""By the names of their answers."""

UPDATE_KEYS: dict[str, str] = {
    "AutomaticCheckEnabled": _DOMAINS["updates"],
    "AutomaticDownload": _DOMAINS["updates"],
    "AutomaticallyInstallMacOSUpdates": _DOMAINS["updates"],
    "ConfigDataInstall": _DOMAINS["updates"],
    "CriticalUpdateInstall": _DOMAINS["updates"],
    "AutoUpdate": _DOMAINS["store"],
}
"""For each key of automatic updates the domain of preferences it is in."""

SSH_LABEL = "com.openssh.sshd"

_NOT_LOADED = 113
_SECONDS = 15
_ROW = re.compile(r"\s+(\S.*?)\s+(\d{1,9})(?:\s+\(.*\))?\s*$")
_OWN_KEY = re.compile(r" {4}(\w+) = +(.*)")
# The one setting whose value is no number; on Macs without a battery it is not shown.
_PATH_ROW = re.compile(r"\s+hibernatefile\s+/")
_BOOLEANS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}


class SettingsValues(TypedDict):
    """Settings as they are. None is "not supported here" for the restart, and "never written" for a key of updates."""

    power: dict[str, int]
    restart_after_freeze: bool | None
    updates: dict[str, bool | None]
    remote_login: bool
    file_vault: bool
    application_firewall: bool


class Settings(FactBase[SettingsValues | None]):
    """The settings of a headless server; needs root. None only when the machine could not be asked at all."""

    def command(self) -> str:
        """One command for all of it."""
        domains = {name: bounded(_SECONDS, "/usr/bin/defaults", "read", domain) for name, domain in _DOMAINS.items()}
        return asking(
            user=AS_WHOM,
            custom=bounded(_SECONDS, "/usr/bin/pmset", "-g", "custom"),
            live=bounded(_SECONDS, "/usr/bin/pmset", "-g"),
            freeze=bounded(_SECONDS, "/usr/sbin/systemsetup", "-getrestartfreeze"),
            schedule=bounded(_SECONDS, "/usr/sbin/softwareupdate", "--schedule"),
            disabled=bounded(_SECONDS, "/bin/launchctl", "print-disabled", "system"),
            ssh=bounded(_SECONDS, "/bin/launchctl", "print", f"system/{SSH_LABEL}"),
            file_vault=bounded(_SECONDS, "/usr/bin/fdesetup", "status"),
            firewall=bounded(_SECONDS, "/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate"),
            **domains,
        )

    def process(self, output: list[str]) -> SettingsValues:
        """Raises FactProcessError when not asked as root, and for every sentence that Apple's tools do not say."""
        found = answers(output)
        if understood(found["user"], "as whom the settings were read").text != "0":
            raise cannot_tell("how this Mac is set", "asked as an ordinary user, needs root")
        return {
            "power": _power(found["custom"], found["live"]),
            "restart_after_freeze": _restart_after_freeze(found["freeze"]),
            "updates": _updates(found),
            "remote_login": _remote_login(found["disabled"], found["ssh"]),
            "file_vault": _is_on(found["file_vault"], r"FileVault is (On|Off)\b", "whether FileVault is on"),
            "application_firewall": _application_firewall(found["firewall"]),
        }


def _power(custom: Answer, live: Answer) -> dict[str, int]:
    what = "how this Mac sleeps"
    mains: dict[str, int] | None = None
    section = ""
    for line in filter(str.strip, understood(custom, what).lines):
        if line.endswith(":") and not line[0].isspace():
            section = line
            mains = {} if section == "AC Power:" else mains
        elif not section or not (row := _ROW.match(line) or _PATH_ROW.match(line)):
            _unclear(what, line)
        elif section == "AC Power:" and mains is not None and row.re is _ROW:
            mains[row[1]] = int(row[2])
    if not mains:
        _unclear(what, custom.text)
    return mains | _disablesleep(understood(live, what))


def _disablesleep(live: Answer) -> dict[str, int]:
    """Shown only once it has been set, and only among what is in use now."""
    if "Currently in use:" not in live.lines:
        _unclear("whether sleep is disabled", live.text)
    shown = [line.split() for line in live.lines if "SleepDisabled" in line]
    if not shown:
        return {}
    value = number(shown[0][-1])
    if len(shown) != 1 or len(shown[0]) != 2 or value is None:
        _unclear("whether sleep is disabled", live.text)
    return {"disablesleep": value}


def _restart_after_freeze(answer: Answer) -> bool | None:
    what = "whether it restarts after a freeze"
    if "Restart After Freeze: Not supported on this machine." in understood(answer, what).lines:
        return None
    return _is_on(answer, r"Restart After Freeze: (On|Off)$", what)


def _updates(found: Mapping[str, Answer]) -> dict[str, bool | None]:
    schedule = _is_on(found["schedule"], r"Automatic check.* (on|off)$", "whether it looks for updates by itself")
    domains = {domain: _domain(domain, found[name]) for name, domain in _DOMAINS.items()}
    keys = {
        key: _preference(f"{key} is set in {domain}", domains[domain].get(key)) for key, domain in UPDATE_KEYS.items()
    }
    return {"schedule": schedule, **keys}


def _domain(domain: str, answer: Answer) -> dict[str, str]:
    """A domain's own keys with what their lines say; what they contain is further to the right."""
    if answer.code == 1 and "does not exist" in answer.text:
        return {}
    what = f"what is set in {domain}"
    lines = understood(answer, what).text.splitlines()
    if lines[:1] != ["{"] or lines[-1] != "}":
        _unclear(what, answer.text)
    own = [row for line in lines if (row := _OWN_KEY.fullmatch(line))]
    if len({row[1] for row in own}) != len(own):
        _unclear(what, answer.text)
    return {row[1]: row[2] for row in own}


def _preference(what: str, text: str | None) -> bool | None:
    value = None if text is None else _BOOLEANS.get(text.removesuffix(";").lower())
    if text is not None and value is None:
        _unclear(f"how {what}", text)
    return value


def _remote_login(disabled: Answer, job: Answer) -> bool:
    what = "whether Remote Login is on"
    overridden = disabled_labels(understood(disabled, what))
    if job.code == _NOT_LOADED:
        return False
    if f"system/{SSH_LABEL} = {{" not in understood(job, what).lines:
        _unclear(what, job.text)
    return SSH_LABEL not in overridden


def _application_firewall(answer: Answer) -> bool:
    """State 0 is off, 1 is on, 2 blocks everything."""
    what = "whether the application firewall is on"
    states = re.findall(r"\(State = ([012])\)", understood(answer, what).text)
    if len(states) != 1:
        _unclear(what, answer.text)
    return states[0] != "0"


def _is_on(answer: Answer, pattern: str, what: str) -> bool:
    """Whether a sentence that ends with on or off says on; it must be there exactly once."""
    words = re.findall(pattern, understood(answer, what).text, re.MULTILINE)
    if len(words) != 1:
        _unclear(what, answer.text)
    return words[0].lower() == "on"


def _unclear(what: str, printed: str) -> NoReturn:
    raise cannot_tell(what, f"this Mac answered {printed!r}")
