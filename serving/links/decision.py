"""What to do about a machine's cables, packet filter and wired limit, now. Pure: every input is an argument.

Whoever changes the network of a machine may lose the way to it. So a release that nobody has confirmed may change
things only until a deadline, which is set by its first change and never moved: then everything goes back to how it
was before, and stays so until the release is tried again or another one runs. A confirmed release never goes back.

On a port IPv4 comes before anything else, also before the port is up: JACCL (MLX 0.32.4) uses the second GID, which is
the first address that was assigned.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Literal

from serving.configuration import Cabled, LinksConfiguration
from serving.links import commands
from serving.links.before import noted, ours, restoring, untold, without_ours
from serving.links.observation import (
    OUR_PREFIX,
    Before,
    Change,
    Clock,
    Fabric,
    Filter,
    Held,
    Interface,
    Kept,
    Seen,
    Trial,
    Unreadable,
)

State = Literal["confirmed", "unconfirmed", "reverted"]


@dataclass(frozen=True)
class Decision:
    """What a release is now, what is to be written down first, and what is then to be changed."""

    state: State
    before: Before | None
    trial: Trial | None
    changes: tuple[Change, ...] = ()
    is_over: bool = False
    """The deadline has passed; once nothing is left to change and nothing untold, the release is reverted."""
    untold: tuple[str, ...] = ()

    @property
    def is_back(self) -> bool:
        """Everything is as it was before."""
        return self.is_over and not self.changes and not self.untold


def decide(configuration: LinksConfiguration, release: str, seen: Seen, kept: Kept, clock: Clock) -> Decision:
    """What to do now."""
    if kept.reverted:
        return Decision("reverted", kept.before, None)
    if not kept.confirmed and kept.trial is not None and left(kept.trial, clock) <= 0:
        return _going_back(kept.trial, seen, kept, clock)
    before = noted(kept.before or Before(boot=clock.boot), configuration, seen, kept.held)
    changes = tuple(converging(configuration, seen, before, kept.held))
    before = _without_limit_given_back(before, configuration, seen)
    if kept.confirmed:
        return Decision("confirmed", before, None, changes)
    trial = kept.trial
    if trial is None and (changes or kept.inherited is not None):
        trial = _begun(release, configuration, kept.inherited, clock)
    if trial is not None:
        trial = _continued(trial, configuration, clock)
        record = noted(trial.before, configuration, seen, kept.held, also=before.ports)
        trial = trial.model_copy(update={"before": record})
    return Decision("unconfirmed", before, trial, changes)


def _without_limit_given_back(before: Before, configuration: LinksConfiguration, seen: Seen) -> Before:
    given_back = configuration.wired_limit_mb is None and seen.wired_limit_mb == before.wired_limit_mb
    return before.model_copy(update={"wired_limit_mb": None}) if given_back else before


def _begun(release: str, configuration: LinksConfiguration, inherited: Trial | None, clock: Clock) -> Trial:
    # Who loaded this release reached the machine, so it has its own time; but it goes back to before both.
    before = Before(boot=clock.boot) if inherited is None else inherited.before
    within = configuration.confirm_within_seconds
    return Trial(release=release, deadline=clock.monotonic + within, wall_deadline=clock.wall + within, before=before)


def _continued(trial: Trial, configuration: LinksConfiguration, clock: Clock) -> Trial:
    """The trial; after a reboot with the time that is left, and nothing of the boot before it."""
    if trial.before.boot == clock.boot:
        return trial
    within = min(left(trial, clock), configuration.confirm_within_seconds)
    return trial.model_copy(update={"deadline": clock.monotonic + within, "before": Before(boot=clock.boot)})


def left(trial: Trial, clock: Clock) -> float:
    """Seconds until an unconfirmed release goes back."""
    if trial.before.boot == clock.boot:
        return trial.deadline - clock.monotonic
    return trial.wall_deadline - clock.wall


def _going_back(trial: Trial, seen: Seen, kept: Kept, clock: Clock) -> Decision:
    if trial.before.boot != clock.boot:
        return Decision("unconfirmed", kept.before, trial, is_over=True)
    changes = tuple(restoring(trial.before, seen, kept.held))
    return Decision("unconfirmed", kept.before, trial, changes, is_over=True, untold=tuple(untold(trial.before, seen)))


def converging(configuration: LinksConfiguration, seen: Seen, before: Before, held: Held | None) -> list[Change]:
    """What leads to the configuration, as far as can be told; nothing where it is so already."""
    fabric = [] if isinstance(seen.fabric, Unreadable) else _fabric(configuration, seen.fabric, before)
    return [*fabric, *_limit(configuration, seen, before), *_filter(configuration, seen, held)]


def _fabric(configuration: LinksConfiguration, fabric: Fabric, before: Before) -> list[Change]:
    changes: list[Change] = []
    owned: set[str] = set()
    for cable in configuration.cables:
        port = fabric.ports.get(cable.domain_uuid)
        if port is not None and port.interface in fabric.interfaces:
            owned.add(port.interface)
            interface = fabric.interfaces[port.interface]
            changes += _port(cable, port.interface, interface, bridged=port.interface in fabric.bridged)
    for name, was in before.ports.items():
        if name not in owned and name in fabric.interfaces:
            changes += without_ours(name, was, fabric.interfaces[name])  # a cable that is no longer declared
    return changes


def _port(cable: Cabled, name: str, interface: Interface, *, bridged: bool) -> list[Change]:
    address = wanted(cable)
    old = [each for each in ours(interface.addresses) if each != address]
    return [
        *([commands.take_out(cable.peer, name)] if bridged else []),
        *(commands.take_away(cable.peer, name, str(each.ip)) for each in old),
        *([commands.give(cable.peer, name, cable.address)] if address not in interface.addresses else []),
        *([commands.switch(cable.peer, name, up=True)] if bridged or not interface.up else []),
    ]


def wanted(cable: Cabled) -> IPv4Interface:
    """The address of this end."""
    return IPv4Interface(f"{cable.address}/{OUR_PREFIX}")


def _limit(configuration: LinksConfiguration, seen: Seen, before: Before) -> list[Change]:
    # What is no longer declared goes back to what it was.
    limit = before.wired_limit_mb if configuration.wired_limit_mb is None else configuration.wired_limit_mb
    if limit is None or not isinstance(seen.wired_limit_mb, int) or seen.wired_limit_mb == limit:
        return []
    return [commands.limit_wired(limit)]


def _filter(configuration: LinksConfiguration, seen: Seen, held: Held | None) -> list[Change]:
    rules = configuration.filter_rules
    if rules is None:
        return without_filter(held)
    if not isinstance(seen.filter, Filter):
        return []
    loaded = held is not None and held.rules == rules and held.printed == seen.filter.rules
    referred = held is not None and held.token is not None and seen.filter.enabled
    # Rules first: an enabled filter without them would be open.
    return [*([] if loaded else [commands.load(rules)]), *([] if referred else [commands.enable()])]


def without_filter(held: Held | None) -> list[Change]:
    """Nothing of ours in the packet filter."""
    if held is None:
        return []
    flush = [commands.flush()] if held.rules is not None else []
    return [*flush, *([commands.release(held.token)] if held.token else [])]
