"""The one macOS that is declared for all Macs, against what runs on each: due, refused, or there."""

from __future__ import annotations

from collections.abc import Iterator

from serving.declared import MacOSUpdate
from serving.seen import Mac
from serving.verdict import updates
from serving.verdict.finding import Finding
from serving.verdict.view import View

CHECK = "macOS"
_REFUSED = {
    "newer": "Declare the macOS that runs, or a newer one: macOS is never taken back. To have the older one, erase the "
    "Mac and install it.",
    "another major": "This release was checked with one major version of macOS. Install it by hand on all Macs, then "
    "declare it.",
    "no such build": "Correct version and build in macos= update: `softwareupdate --list` ends each label with its "
    "build, `sw_vers` prints what runs.",
}


def macos(view: View) -> Iterator[Finding]:
    """What each Mac lacks of the declared macOS; nothing where none is declared."""
    update = view.update
    for name in view.machines if update else ():
        mac = view.mac(name)
        if update and mac:
            yield from _one(view, name, update, mac)


def _one(view: View, name: str, update: MacOSUpdate, mac: Mac) -> Iterator[Finding]:
    runs, needed, seen = f"{mac.macos} ({mac.build})", updates.named(update), view.seen[name]
    direction = updates.direction(update, mac)
    if direction == "there":
        return
    if direction != "older":
        yield Finding(name, CHECK, runs, needed, _REFUSED[direction])
        return
    hindrances = list(updates.hindrances(view.cluster.machine(name), update, seen))
    for each in hindrances:
        yield Finding(name, f"{CHECK} update", each.seen, each.needed, each.remedy, by_hand=each.by_hand)
    if not hindrances:
        yield Finding(name, CHECK, runs, needed, _told(view, name), "drift")
        yield from _gateway(view, name)


def _told(view: View, name: str) -> str:
    replica = view.cluster.replica_of(name)
    others = ", ".join(each for each in replica.machines if each != name) if replica else ""
    beside = f", together with {others}" if others else ""
    return f"Run the deploy: it installs it and restarts the Mac{beside}. It cannot be undone."


def _gateway(view: View, name: str) -> Iterator[Finding]:
    if name == view.cluster.gateway.machine:
        seen = "it is on a Mac that restarts for a newer macOS: clients reach nothing until it is back"
        remedy = "Declare it on a Mac of another replica first, and deploy, if that is too long."
        yield Finding(name, "gateway", seen, "someone who knows", remedy, "note")
