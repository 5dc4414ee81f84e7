"""What makes a server of a desktop, against `headless` and `packet_filter` as declared. None there is not looked at.

A setting this Mac does not have cannot be wrong: it is told as a note. `sleep` every Mac has.
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.declared import Headless
from serving.seen import PacketFilter, Settings
from serving.verdict.finding import Finding
from serving.verdict.view import View

NAMES = (
    "sleep",
    "restart after power loss",
    "restart after freeze",
    "wake on network",
    "automatic updates",
    "remote login",
    "FileVault",
    "application firewall",
    "packet filter",
)
"""The checks made here, in the order they are told."""

AWAKE = ("sleep", "disksleep", "standby")
"""What pmset must show as 0 on a server: the operation that keeps it awake sets the same, and says why."""

DEPLOY = "Run the deploy: it sets it, and keeps on record what was there before."


def settings(view: View) -> Iterator[Finding]:
    """Every setting that is not as declared."""
    for name in view.machines:
        looked, headless = view.seen[name].settings, view.cluster.headless
        if headless is not None and isinstance(looked, Settings):
            yield from _power(name, headless, looked)
            yield from _updates(name, headless, looked)
            yield from _doors(name, headless, looked)
        yield from _packet_filter(view, name)


def needs_settings(headless: Headless | None) -> bool:
    """Whether anything is declared that is read as a setting."""
    values = headless.model_dump(exclude={"clock_within_seconds"}).values() if headless else ()
    return any(value is not None for value in values)


def _power(name: str, headless: Headless, seen: Settings) -> Iterator[Finding]:
    if headless.sleep is False:
        yield from _awake(name, seen)
    for check, wanted, found in (
        ("restart after power loss", headless.restart_after_power_loss, seen.power.get("autorestart")),
        ("restart after freeze", headless.restart_after_freeze, seen.restart_after_freeze),
        ("wake on network", headless.wake_on_network, seen.power.get("womp")),
    ):
        if wanted is None:
            continue
        if found is None:
            remedy = "Nothing to do here; declare None for it in headless= if no Mac of the lab has it."
            yield Finding(name, check, "this Mac does not have the setting", _word(on=wanted), remedy, "note")
        elif found != int(wanted):
            yield Finding(name, check, _word(on=bool(found)), _word(on=wanted), DEPLOY, "drift")


def _awake(name: str, seen: Settings) -> Iterator[Finding]:
    if "sleep" not in seen.power:
        told = f"cannot tell: pmset shows {', '.join(seen.power) or 'nothing'}, and no sleep"
        yield Finding(name, "sleep", told, "sleep 0", "Look at `pmset -g custom` there, then run the deploy again.")
        return
    wrong = [f"{key} {seen.power[key]}" for key in AWAKE if seen.power.get(key)]
    if wrong:
        needed = ", ".join(f"{key} 0" for key in AWAKE if seen.power.get(key))
        yield Finding(name, "sleep", ", ".join(wrong), f"{needed}: Thunderbolt cannot wake a Mac", DEPLOY, "drift")


def _updates(name: str, headless: Headless, seen: Settings) -> Iterator[Finding]:
    wanted = headless.automatic_updates
    if wanted is None:
        return
    words = {True: "on", False: "off", None: "never set"}
    wrong = [f"{key} is {words[value]}" for key, value in seen.updates.items() if value is not wanted]
    if wrong or not seen.updates:
        told = ", ".join(wrong) or "cannot tell: no setting of it was read"
        severity = "drift" if wrong else "error"
        yield Finding(name, "automatic updates", told, _word(on=wanted), DEPLOY, severity)


def _doors(name: str, headless: Headless, seen: Settings) -> Iterator[Finding]:
    if headless.remote_login and not seen.remote_login:
        yield Finding(name, "remote login", "sshd is not enabled or not loaded", "on", DEPLOY, "drift")
    if headless.file_vault and seen.file_vault:
        off = headless.file_vault == "off"
        yield Finding(
            name,
            "FileVault",
            "on: after an unattended restart the Mac stops at its unlock screen, where SSH takes a password only",
            "off" if off else "someone who knows, and can unlock it",
            "Turn it off at the Mac: System Settings > Privacy & Security > FileVault, or `sudo fdesetup disable`.",
            severity="error" if off else "note",
            by_hand="settings" if off else None,
        )
    if headless.application_firewall and seen.application_firewall:
        off = headless.application_firewall == "off"
        yield Finding(
            name,
            "application firewall",
            "on: it may cut off Python, which is signed ad hoc, without a word",
            "off" if off else "someone who knows",
            DEPLOY if off else "Declare headless={'application_firewall': 'off'} and let the packet filter guard it.",
            severity="drift" if off else "note",
        )


def _packet_filter(view: View, name: str) -> Iterator[Finding]:
    looked = view.seen[name].packet_filter
    if view.cluster.packet_filter is None or not isinstance(looked, PacketFilter):
        return
    if not (looked.enabled and looked.rules):
        seen = "it is on, but without our rules" if looked.enabled else "it is off"
        remedy = "Run the deploy: dev.cidermill.links loads it within seconds, now and whenever it happens again."
        yield Finding(name, "packet filter", seen, "on, with the rules of the cluster", remedy, "drift")


def _word(*, on: bool) -> str:
    return "on" if on else "off"
