"""Who has ordered that a replica takes nothing new, and for how long: a drain belongs to whoever ordered it.

A drain is kept on disk. A Mac that restarts in the middle of an update must not come back serving by itself before
whoever updates it has seen it proven. It also has an end, which its owner moves on by ordering it again: an owner that
died must not keep a replica out for ever. Several may hold a replica back at once; it takes requests again when nobody
does, so that an update does not let in what a person holds back for repairs.

On disk the end is a time of day, as nothing else goes on through a restart; from there on it is counted by a clock that
only goes forward. A time of day that was set back meanwhile makes no drain longer than it was ordered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import RootModel

from serving.declared import Declared
from serving.errors import CidermillError, DrainRefused
from serving.rank.status import replace

Clock = Callable[[], float]


class _Kept(Declared):
    until: float
    """Seconds since 1970."""
    seconds: float
    """For which it was ordered."""


_File = RootModel[dict[str, _Kept]]


@dataclass(frozen=True)
class Drain:
    """A drain that was ordered."""

    kept: _Kept
    ends: float
    """On the clock that only goes forward."""
    is_in_force: bool = True
    """Or will be when the agent starts again."""


def left(kept_until: float, seconds: float, time_of_day: float) -> float:
    """Seconds that are left to a drain which was found on disk; 0 or less when it has run out."""
    return min(kept_until - time_of_day, seconds)


class Drains:
    """The drains of one replica, as they are on disk."""

    def __init__(self, path: Path, clock: Clock = time.monotonic, time_of_day: Clock = time.time) -> None:
        self._path = path
        self._clock = clock
        self._time_of_day = time_of_day
        now, today = clock(), time_of_day()
        self._drains = {
            by: Drain(kept, now + left(kept.until, kept.seconds, today)) for by, kept in _read(path).root.items()
        }

    @property
    def reason(self) -> str:
        """Who holds the replica back and until when, for people; empty when nobody does."""
        told = [f"'{by}' until {_time(self._drains[by].kept.until)}" for by in self.owners]
        return f"drained by {' and '.join(told)}" if told else ""

    @property
    def owners(self) -> tuple[str, ...]:
        """Who holds it back."""
        return tuple(sorted(by for by, each in self._drains.items() if each.is_in_force))

    def order(self, by: str, seconds: float, *, from_restart: bool = False) -> None:
        """Hold the replica back from now on or from the agent's next start, or go on holding it back. Raises
        DrainRefused.
        """
        kept = _Kept(until=self._time_of_day() + seconds, seconds=seconds)
        is_in_force = by in self.owners or not from_restart
        self._keep({**self._drains, by: Drain(kept, self._clock() + seconds, is_in_force)})

    def lift(self, by: str | None) -> None:
        """End what one has ordered, or what anybody has. Raises DrainRefused."""
        self._keep({name: each for name, each in self._drains.items() if by not in (None, name)})

    def run_out(self) -> list[str]:
        """Let go what has come to its end; returns whose it was."""
        now = self._clock()
        over = [by for by, each in self._drains.items() if each.ends <= now]
        # What is on disk ends at the same time: it needs no writing, which may fail.
        self._drains = {by: each for by, each in self._drains.items() if by not in over}
        return over

    def _keep(self, drains: dict[str, Drain]) -> None:
        try:
            replace(self._path, _File({by: each.kept for by, each in drains.items()}).model_dump_json())
        except OSError as error:
            raise DrainRefused(
                f"cannot write down who drains this replica: {self._path}: {error.strerror}. Make room there."
            ) from error
        self._drains = drains


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_text())
    except FileNotFoundError:
        return _File({})
    except ValueError as error:
        raise CidermillError(f"cannot tell who drains this replica: {path} is damaged. Remove it.") from error


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
