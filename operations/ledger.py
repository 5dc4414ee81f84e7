"""What became of each replica in one run, so that the steps after it, and the verdict, can go by it."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """Did not become ready, and why."""

    @property
    def serving(self) -> set[str]:
        """The replicas that answer clients."""
        return self.ready | {replica for replica, serves in self.left.items() if serves}

    def story(self) -> list[str]:
        """What failed, what was left alone, who serves, and what to do: a line each."""
        failed = ", ".join(f"'{replica}'" for replica in self.failed)
        return [
            *(f"replica '{replica}' did not become ready: {why}" for replica, why in self.failed.items()),
            *(
                f"replica '{replica}' was left as it is: {failed} did not become ready. "
                f"'{replica}' {'still serves' if serves else 'does not serve'}."
                for replica, serves in self.left.items()
            ),
            f"Clients are served by {', '.join(sorted(self.serving)) or 'no replica'}.",
            f"Repair {failed}, then run the deploy again.",
        ]


_ledgers: WeakKeyDictionary[State, Ledger] = WeakKeyDictionary()


def ledger() -> Ledger:
    """What has been written down in this run so far."""
    return _ledgers.setdefault(current_state(), Ledger())
