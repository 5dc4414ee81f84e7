"""What became of each replica in one run, so that the steps after it, and the verdict, can go by it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from pyinfra.api.state import State

from operations.remote import current_state


@dataclass
class Ledger:
    """What became of each replica in this run."""

    ready: set[str] = field(default_factory=set[str])
    """As declared, and proven in this run."""
    left: dict[str, bool] = field(default_factory=dict[str, bool])
    """Not touched because of one before it, and whether it still serves what it served."""
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """What went wrong with it, the first reason."""
    returned: dict[str, str] = field(default_factory=dict[str, str])
    """Those that went back to what they were, proven again, and the release that they serve with."""
    lost: dict[str, str] = field(default_factory=dict[str, str])
    """Those that could not go back, and why."""
    held: set[str] = field(default_factory=set[str])
    """Drained by this deploy, or by one before it that did not come to its end."""
    speeds: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Before the change."""
    measured: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """After it."""
    enough: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """After it, of those that were let go as soon as they were seen to be fast enough."""
    drained_at: dict[str, float] = field(default_factory=dict[str, float])
    """When it was told to take nothing new, on a clock that only goes forward."""
    works_until_restart: set[str] = field(default_factory=set[str])
    """Of these those that were told so for when their agent starts again."""
    switched_at: dict[str, float] = field(default_factory=dict[str, float])
    """When its agents began to change."""
    took: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds from there until it was proven."""
    paused: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds in which it took nothing new."""

    def readmitted(self, replica: str) -> None:
        """Write down for how long a replica took nothing new, if it was this run that drained it."""
        if replica in self.drained_at:
            self.paused[replica] = time.monotonic() - self.drained_at[replica]

    def pauses(self) -> list[str]:
        """How long each replica took nothing new: a line each."""
        return [
            f"replica '{name}' took nothing new for {'at most ' if name in self.works_until_restart else ''}{s:.1f} "
            "seconds."
            for name, s in sorted(self.paused.items())
        ]

    @property
    def serving(self) -> set[str]:
        """The replicas that answer clients."""
        return self.ready | {replica for replica, serves in self.left.items() if serves} | self.returned.keys()

    def fail(self, replica: str, why: str) -> None:
        """Write down what went wrong first."""
        self.failed.setdefault(replica, why)

    def story(self) -> list[str]:
        """What failed, what went back, what was left alone, who serves, and what to do: a line each."""
        failed = ", ".join(f"'{what}'" for what in self.failed)
        return [
            *(
                f"{_named(replica)} {'is ready, but' if replica in self.ready else 'did not become ready:'} {why}"
                for replica, why in self.failed.items()
            ),
            *self._went_back(),
            *(f"replica '{replica}' could not go back: {why}" for replica, why in self.lost.items()),
            *(
                f"replica '{replica}' was left as it is: {failed} did not become ready. "
                f"'{replica}' {'still serves' if serves else 'does not serve'}."
                for replica, serves in self.left.items()
            ),
            f"Clients are served by {', '.join(sorted(self.serving)) or 'no replica'}.",
            f"Repair {failed}, then run the deploy again.",
        ]

    def left_behind(self) -> list[str]:
        """How each replica is that a run has touched which ends here: a line each."""
        serving = self.paused.keys() | (self.ready - self.drained_at.keys())
        under_way = (self.drained_at.keys() | self.switched_at.keys()) - serving - self.returned.keys()
        lines = [
            *(f"replica '{replica}' is as declared, proven, and serves." for replica in sorted(self.ready & serving)),
            *self._went_back(),
            *(
                f"replica '{replica}' is in the middle of its change, and not proven. Where it is drained, that runs "
                "out by itself in a few minutes."
                for replica in sorted(under_way)
            ),
        ]
        return lines or ["No replica was touched."]

    def _went_back(self) -> list[str]:
        return [
            f"replica '{replica}' went back by itself, is proven again, and serves with {release}."
            for replica, release in self.returned.items()
        ]


def _named(what: str) -> str:
    return what if what.startswith("the ") else f"replica '{what}'"


_ledgers: WeakKeyDictionary[State, Ledger] = WeakKeyDictionary()


def ledger() -> Ledger:
    """What has been written down in this run so far."""
    return _ledgers.setdefault(current_state(), Ledger())
