"""Who may go upstream: as many requests at once as there are slots, a bounded queue behind them, fair between keys.

No clock in here. Whoever waits is taken in turns of keys, each key's own in the order they came. A queue that is full
still takes a request from a key that has fewer waiting than another: that other one gives up its newest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from serving.errors import QueueFull

_Place = asyncio.Future[None]


class Admission:
    """The slots of one replica. For one event loop."""

    def __init__(self, slots: int, queue: int) -> None:
        self._slots = slots
        self._queue = queue
        self._taken = 0
        self._places: dict[str, deque[_Place]] = {}
        """Of each key that waits, in the order of their turns."""

    @property
    def in_flight(self) -> int:
        """Slots in use."""
        return self._taken

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(map(len, self._places.values()))

    @asynccontextmanager
    async def slot(self, key: str) -> AsyncGenerator[None, None]:
        """Hold a slot, waiting for it if need be. Raises QueueFull."""
        await self._enter(key)
        try:
            yield
        finally:
            self._pass_on()

    async def _enter(self, key: str) -> None:
        # Slots are handed on from one to the next, so none is free while anybody waits.
        if self._taken < self._slots:
            self._taken += 1
            return
        if self.waiting >= self._queue:
            self._make_room(key)
        place: _Place = asyncio.get_running_loop().create_future()
        self._places.setdefault(key, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._remove(key, place)
            elif place.exception() is None:
                self._pass_on()  # it was handed a slot as it left
            raise

    def _make_room(self, key: str) -> None:
        mine = len(self._places.get(key, ()))
        longest = max(self._places, key=lambda other: len(self._places[other]), default=key)
        if not self._places or len(self._places[longest]) <= mine + 1:
            raise QueueFull(self._full())
        newest = self._places[longest].pop()
        newest.set_exception(QueueFull(self._full()))

    def _full(self) -> str:
        return f"cannot take this request: {self._queue} are waiting already, as many as may"

    def _pass_on(self) -> None:
        while self._places:
            key, places = next(iter(self._places.items()))
            del self._places[key]
            place = places.popleft()
            if places:
                self._places[key] = places  # its next turn comes after everybody else's
            if not place.done():
                place.set_result(None)
                return
        self._taken -= 1

    def _remove(self, key: str, place: _Place) -> None:
        places = self._places.get(key)
        if places is not None and place in places:
            places.remove(place)
            if not places:
                del self._places[key]


class Pace:
    """How long requests keep their slots, so that who is turned away hears when to come again."""

    _WEIGHT = 0.2
    _LONGEST = 120

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._seconds: float | None = None

    def took(self, seconds: float) -> None:
        """Note how long a request had its slot; later ones weigh more."""
        before = seconds if self._seconds is None else self._seconds
        self._seconds = before + self._WEIGHT * (seconds - before)

    def retry_seconds(self, waiting: int) -> int:
        """After how many seconds those who wait now will have been taken, at the pace of late."""
        expected = (waiting + 1) * (self._seconds or 0) / self._slots
        return max(1, min(self._LONGEST, round(expected)))
