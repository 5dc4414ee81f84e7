"""Which Macs are due for the declared macOS, by which label, and what stands in the way. Pure.

`softwareupdate` installs the newest of everything unless it is given an exact label, and a label ends with its build:
`macOS Tahoe 26.7-25G229`. It offers the newest minor version only. Checked against output of macOS 26.3 to 26.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from serving.declared import Machine, MacOSUpdate
from serving.seen import Mac, Offer, Problem, Resources, Seen, Settings, Updates
from serving.verdict.finding import ByHand
from serving.verdict.view import numbers

GIB = 2**30
DISK_GIB = 20
"""What macOS itself and those who update many Macs keep free for a minor version."""

Direction = Literal["there", "older", "newer", "another major", "no such build"]
_BUILD = re.compile(r"(\d+)([A-Z])(\d+)([a-z]?)")
_LOOK = "Look at it there, then run the deploy again."


@dataclass(frozen=True)
class Due:
    """An update that nothing stands in the way of; without a label when it is under way already."""

    label: str | None


@dataclass(frozen=True)
class Hindrance:
    """One thing that stands in the way of an update."""

    seen: str
    needed: str
    remedy: str
    by_hand: ByHand | None = None


def due(machine: Machine, update: MacOSUpdate | None, seen: Seen) -> Due | None:
    """The update a Mac is due for; None when it has it, or something stands in the way."""
    if update is None or not isinstance(seen.mac, Mac) or direction(update, seen.mac) != "older":
        return None
    if not isinstance(seen.updates, Updates) or any(hindrances(machine, update, seen)):
        return None
    return Due(None if seen.updates.under_way == "install" else _fitting(update, seen.updates)[0].label)


def direction(update: MacOSUpdate, mac: Mac) -> Direction:
    """How what runs on a Mac stands to what is declared."""
    version, wanted = numbers(mac.macos), numbers(update.version)
    build, wanted_build = _parts(mac.build), _parts(update.build)
    if not version:
        return "no such build"
    if build == wanted_build:
        return "there" if version == wanted else "no such build"
    if (version, build) > (wanted, wanted_build):
        return "newer" if build > wanted_build else "no such build"
    if build > wanted_build:
        return "no such build"
    return "older" if version[:1] == wanted[:1] else "another major"


def hindrances(machine: Machine, update: MacOSUpdate, seen: Seen) -> Iterator[Hindrance]:
    """Everything that keeps a Mac with an older macOS from being updated."""
    if machine.via == "local":
        yield Hindrance(
            "it is the machine you type on, and its restart would end the deploy",
            "another machine to type on, or a person",
            "Update it by hand, then run the deploy again. Or deploy from another machine, over SSH.",
        )
    looked = seen.updates
    if looked is None or isinstance(looked, Problem):
        told = looked.problem if looked else "cannot tell what is offered: nobody asked"
        yield Hindrance(told, f"an offer of {named(update)}", _LOOK)
        return
    yield from _file_vault(seen)
    if looked.under_way == "install":
        return  # it has passed all of this, and what is offered changes while it runs
    yield from _offer(update, looked)
    yield from _owner(update, looked)
    yield from _surroundings(looked, seen)


def named(update: MacOSUpdate) -> str:
    """The declared macOS, as people call it."""
    return f"{update.version} ({update.build})"


def _parts(build: str) -> tuple[int, str, int, str]:
    """A build to compare: 25D125 is older than 25D2128 and 25E246."""
    found = _BUILD.fullmatch(build)
    return (int(found[1]), found[2], int(found[3]), found[4]) if found else (0, "", 0, "")


def _fitting(update: MacOSUpdate, looked: Updates) -> list[Offer]:
    """The offers of that very version and build."""
    return [
        offer
        for offer in looked.offered or ()
        if offer.label.rpartition("-")[2] == update.build and numbers(offer.version) == numbers(update.version)
    ]


def _offer(update: MacOSUpdate, looked: Updates) -> Iterator[Hindrance]:
    fitting = _fitting(update, looked)
    labels = ", ".join(f"'{offer.label}'" for offer in looked.offered or () if offer.restart) or "no macOS"
    if len(fitting) > 1:
        yield Hindrance(f"several offers fit: {labels}", f"one of {named(update)}", _LOOK)
    elif not fitting:
        yield Hindrance(
            f"softwareupdate offers {labels}",
            f"a label that ends with -{update.build}, of version {update.version}",
            "Only the newest of each major version is offered. Declare the version and build of one that is, or "
            "install this one by hand on all Macs: `softwareupdate --fetch-full-installer --full-installer-version "
            f"{update.version}`.",
        )
    elif not fitting[0].restart or not fitting[0].title.startswith("macOS"):
        yield Hindrance(f"'{fitting[0].label}' is no macOS", "an update that restarts the Mac", _LOOK)


def _owner(update: MacOSUpdate, looked: Updates) -> Iterator[Hindrance]:
    owner = update.volume_owner
    if owner is None:
        fitting = _fitting(update, looked)
        label = fitting[0].label if len(fitting) == 1 else f"...-{update.build}"
        yield Hindrance(
            "no volume_owner is declared, and macOS on Apple silicon installs for nobody else",
            "the account of one, or a person",
            f"Type at the Mac, and at all Macs of its replica: `sudo softwareupdate --install '{label}' --restart`. Or "
            "declare volume_owner in macos= update.",
            "settings",
        )
    elif not (looked.volume_owner and looked.secure_token):
        lacks = "is no volume owner" if looked.secure_token else "has no secure token"
        yield Hindrance(
            f"'{owner.user}' {lacks}",
            "a volume owner with a secure token",
            "Declare the account that was made when the Mac was set up; `sysadminctl -secureTokenStatus NAME` and "
            "`diskutil apfs listUsers /` tell of each.",
        )


def _file_vault(seen: Seen) -> Iterator[Hindrance]:
    if not isinstance(seen.settings, Settings):
        yield Hindrance("cannot tell whether FileVault is on", "FileVault off", _LOOK)
    elif seen.settings.file_vault:
        yield Hindrance(
            "FileVault is on: the Mac would stop at its unlock screen, and serve nothing until somebody unlocks it",
            "FileVault off, or a person at the Mac",
            "Turn it off at the Mac: `sudo fdesetup disable`. Or update it there by hand, and all Macs of its replica.",
            "settings",
        )


def _surroundings(looked: Updates, seen: Seen) -> Iterator[Hindrance]:
    if looked.under_way == "another":
        yield Hindrance("another softwareupdate is under way", "none", "Let it end, then run the deploy again.")
    if not looked.on_mains:
        yield Hindrance("it runs on its battery", "mains power", "Plug its power in.", "power")
    if isinstance(seen.resources, Resources) and seen.resources.disk_free_bytes < DISK_GIB * GIB:
        free = f"{seen.resources.disk_free_bytes / GIB:.1f} GiB free"
        yield Hindrance(free, f"{DISK_GIB} GiB for the installer", "Make room, then run the deploy again.")
