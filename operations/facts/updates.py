"""What Apple offers a Mac for another macOS, who may install it, and what would stand in its way.

Relies on `softwareupdate --list`, which prints a label and below it a line of `Key: value, ` pairs for each offer, and
"No new software available." on standard error when there is none; it asks Apple's servers, for 10 to 90 seconds. On
`sysadminctl -secureTokenStatus`, which ends with 0 also for a user it does not know, on the tree that `diskutil apfs
listUsers /` prints by GeneratedUID, and on `pmset -g batt` naming its source in quotes. Checked against output of macOS
26.3 to 26.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NoReturn, TypedDict

from pyinfra.api.facts import FactBase

from operations.detached import HELD
from operations.facts.reading import Answer, Bounded, answers, asking, bounded, cannot_tell, in_perl, number, understood

SOFTWAREUPDATE = "/usr/sbin/softwareupdate"
_LIST_SECONDS, _SECONDS = 120, 15
_NONE, _SOME = "No new software available.", "Software Update found the following new or updated software:"
_NO_RECORD, _NO_PROCESS = 56, 1
_RUNS = "that build runs"
# A Mac that has the build need not ask Apple.
_LIST = f'if [ "$(/usr/bin/sw_vers -buildVersion)" = "$1" ]; then echo "{_RUNS}"; else exec {SOFTWAREUPDATE} --list; fi'
_LABEL = re.compile(r"\* Label: (\S.*)")
_OFFER = re.compile(r"\tTitle: (.+?), Version: ([^,]+), Size: (\d+)K(?:iB)?, Recommended: (?:YES|NO),(.*)")
_TOKEN = re.compile(r"Secure token is (ENABLED|DISABLED) for user ")
_UNKNOWN_USER = "Unknown user "
_UID = re.compile(r"GeneratedUID: ([0-9A-F-]{36})")
_SOURCE = re.compile(r"Now drawing from '([^']*)'")


class Offer(TypedDict):
    """One offer. `label` is what softwareupdate wants to hear; `restart` is whether it restarts the Mac."""

    label: str
    title: str
    version: str
    size_kib: int
    restart: bool


class UpdatesValues(TypedDict):
    """`offered` is None on a Mac that runs the build already, the two of the owner where no account was asked for.

    `under_way` is what a softwareupdate does just now: "another" was not begun by us.
    """

    offered: list[Offer] | None
    volume_owner: bool | None
    secure_token: bool | None
    under_way: Literal["install", "fetch", "another"] | None
    on_mains: bool


class MacUpdates(FactBase[UpdatesValues | None]):
    """What is offered to a Mac that runs another build, and what an update would meet; needs root.

    None only when the machine could not be asked at all.
    """

    extra_seconds = _LIST_SECONDS
    """How much longer it may take than a fact that asks nobody else."""

    def command(self, build: str, directory: str, user: str | None = None) -> str:
        """One command for all of it; `directory` is where our own updates keep their logs."""
        self.user = user
        return asking(
            offers=bounded(_LIST_SECONDS, "/bin/sh", "-c", _LIST, "sh", build),
            install=in_perl(HELD, log(directory, "install", build)),
            fetch=in_perl(HELD, log(directory, "fetch", build)),
            running=bounded(_SECONDS, "/usr/bin/pgrep", "-x", "softwareupdate"),
            source=bounded(_SECONDS, "/usr/bin/pmset", "-g", "batt"),
            **({} if user is None else _asking_for(user)),
        )

    def process(self, output: list[str]) -> UpdatesValues:
        """Raises FactProcessError for every sentence that Apple's tools do not say."""
        found = answers(output)
        return {
            "offered": _offered(found["offers"]),
            "volume_owner": None if self.user is None else _owns(found["record"], found["owners"]),
            "secure_token": None if self.user is None else _has_token(found["token"]),
            "under_way": _under_way(found["install"], found["fetch"], found["running"]),
            "on_mains": _on_mains(found["source"]),
        }


def log(directory: str, what: Literal["install", "fetch"], build: str) -> str:
    """The file in which one of our own updates keeps what softwareupdate says; it is locked while that runs."""
    return f"{directory}/{what}-{build}.log"


def _asking_for(user: str) -> dict[str, Bounded]:
    return {
        "token": bounded(_SECONDS, "/usr/sbin/sysadminctl", "-secureTokenStatus", user),
        "record": bounded(_SECONDS, "/usr/bin/dscl", ".", "-read", f"/Users/{user}", "GeneratedUID"),
        "owners": bounded(_SECONDS, "/usr/sbin/diskutil", "apfs", "listUsers", "/"),
    }


def _offered(answer: Answer) -> list[Offer] | None:
    what = "which macOS is offered"
    lines = [line for line in understood(answer, what).lines if line.strip()]
    if lines == [_RUNS]:
        return None
    if (_NONE in lines) == (_SOME in lines):
        _unclear(what, answer)
    return list(_offers(what, lines[lines.index(_SOME) + 1 :], answer)) if _SOME in lines else []


def _offers(what: str, lines: list[str], answer: Answer) -> Iterator[Offer]:
    if not lines or len(lines) % 2:
        _unclear(what, answer)
    for label, details in zip(lines[::2], lines[1::2], strict=True):
        named, told = _LABEL.fullmatch(label), _OFFER.fullmatch(details)
        size = number(told[3]) if told else None
        if named is None or told is None or size is None:
            _unclear(what, answer)
        yield {
            "label": named[1],
            "title": told[1],
            "version": told[2],
            "size_kib": size,
            "restart": " Action: restart," in told[4],
        }


def _has_token(answer: Answer) -> bool:
    what = "who holds a secure token"
    found = _TOKEN.findall(understood(answer, what).text)
    if not found and _UNKNOWN_USER in answer.text:
        return False
    if len(found) != 1:
        _unclear(what, answer)
    return found[0] == "ENABLED"


def _owns(record: Answer, owners: Answer) -> bool:
    """Whether the account is among the owners of the volume, which are told by their GeneratedUIDs alone."""
    what = "who owns the volume"
    told: dict[str, list[str]] = {}
    name = ""
    for line in understood(owners, what).lines:
        text = line.lstrip("| \t")
        if text.startswith("+-- "):
            name = text.removeprefix("+-- ").strip()
            told[name] = []
        elif name and text.startswith("Volume Owner: "):
            told[name].append(text.removeprefix("Volume Owner: ").strip())
    if not told or any(words not in (["Yes"], ["No"]) for words in told.values()):
        _unclear(what, owners)
    if record.code == _NO_RECORD:
        return False
    uid = _UID.fullmatch(understood(record, what).text)
    if uid is None:
        _unclear(what, record)
    return told.get(uid[1]) == ["Yes"]


def _under_way(install: Answer, fetch: Answer, running: Answer) -> Literal["install", "fetch", "another"] | None:
    what = "whether a softwareupdate is under way"
    held = {name: understood(answer, what).text for name, answer in (("install", install), ("fetch", fetch))}
    if any(word not in ("held", "free") for word in held.values()):
        _unclear(what, install if held["install"] not in ("held", "free") else fetch)
    if running.code != _NO_PROCESS or running.text:
        understood(running, what)
        if not running.text or any(number(word) is None for word in running.text.split()):
            _unclear(what, running)
    if held["install"] == "held":
        return "install"
    if held["fetch"] == "held":
        return "fetch"
    return "another" if running.code == 0 else None


def _on_mains(answer: Answer) -> bool:
    what = "where its power comes from"
    sources = _SOURCE.findall(understood(answer, what).text)
    if len(sources) != 1 or sources[0] not in ("AC Power", "Battery Power", "UPS Power"):
        _unclear(what, answer)
    return sources[0] == "AC Power"


def _unclear(what: str, answer: Answer) -> NoReturn:
    raise cannot_tell(what, f"this Mac answered {answer.text!r}")
