"""Looking at a machine: which commands are asked how often, and what they say as one value.

Interfaces are looked at every time; the rest, which seldom changes, every second time. Which port has which interface
takes seconds to find out on a Mac, so it is asked only when the interfaces changed without our doing, and once more
later, because macOS tells of a cable on its interface before it tells who is at the other end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from serving.errors import LinksUnreadable
from serving.links import reading
from serving.links.commands import (
    IFCONFIG,
    NETWORKSETUP,
    PFCTL,
    ROUTE,
    RULES,
    SYSCTL,
    SYSTEM_PROFILER,
    WIRED_LIMIT,
    Command,
    done,
)
from serving.links.observation import Fabric, Filter, Interface, Port, Seen, Unreadable

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What there is a need to know."""

    limit: bool = True
    filter: bool = True


EVERYTHING = Wanted()


class Looking:
    """One machine, looked at again and again."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._ports: Mapping[str, Port] | None = None
        self._shape: object = None
        self._doubts = 0
        self._seen: Seen | None = None
        self._asked: Wanted | None = None

    def look(self, wanted: Wanted = EVERYTHING, *, all_of_it: bool = True, quietly: bool = False) -> Seen:
        """Look now. Unless `all_of_it`, the rest is as it was seen last; `quietly` after changes of our own."""
        fabric = _told(lambda: self._fabric(quietly=quietly))
        if isinstance(fabric, Unreadable):
            self._ports = None
        if self._seen is not None and wanted == self._asked and not all_of_it:
            self._seen = replace(self._seen, fabric=fabric)
        else:
            self._seen = Seen(
                fabric=fabric,
                default_route=_told(self._default_route),
                wired_limit_mb=_told(self._limit) if wanted.limit else None,
                filter=_told(self._filter) if wanted.filter else None,
            )
        self._asked = wanted
        return self._seen

    def doubt(self) -> None:
        """Find out once more which port has which interface and who faces it."""
        self._doubts = max(self._doubts, 1)

    def _fabric(self, *, quietly: bool) -> Fabric:
        found = reading.interfaces(done(self._command, [IFCONFIG, "-a"]).output)
        shape = _shape(found)
        if self._ports is not None and shape != self._shape and not quietly:
            self._doubts = 2
        self._shape = shape
        if self._ports is None or (self._doubts and not quietly):
            self._doubts = max(0, self._doubts - 1)
            self._ports = self._find_ports()
        return Fabric(found, self._ports)

    def _find_ports(self) -> dict[str, Port]:
        listed = done(self._command, [NETWORKSETUP, "-listallhardwareports"]).output
        return reading.ports(done(self._command, [SYSTEM_PROFILER, "SPThunderboltDataType", "-json"]).output, listed)

    def _default_route(self) -> str | None:
        answer = self._command([ROUTE, "-n", "get", "default"], "")
        return reading.default_route(answer.code, answer.output, answer.errors)

    def _limit(self) -> int:
        return reading.number(done(self._command, [SYSCTL, "-n", WIRED_LIMIT]).output)

    def _filter(self) -> Filter:
        return Filter(
            enabled=reading.filter_enabled(done(self._command, [PFCTL, "-s", "info"]).output),
            evaluated=reading.asks_anchors(done(self._command, [PFCTL, "-s", "rules"]).output),
            rules=reading.rules(done(self._command, RULES).output),
        )


def _told(ask: Callable[[], T]) -> T | Unreadable:
    try:
        return ask()
    except LinksUnreadable as error:
        return Unreadable(str(error))


def _shape(found: Mapping[str, Interface]) -> object:
    return {name: (interface.active, interface.members) for name, interface in found.items()}
