"""One request's turn: it has a slot, and is asked of the replica until its answer is whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from serving.endpoint.answering import Course, Event, Terms, answer
from serving.endpoint.metrics import Tally
from serving.endpoint.readiness import Patience, Readiness, watched
from serving.endpoint.telling import Told
from serving.endpoint.upstream import Upstream
from serving.errors import UpstreamFailed
from serving.rank.asked import FIELD, Asked, asked


class Turn:
    """A request at its replica."""

    def __init__(self, readiness: Readiness, upstream: Upstream, patience: Patience, tally: Tally) -> None:
        self._readiness = readiness
        self._upstream = upstream
        self._patience = patience
        self._tally = tally
        self._generation: int | None = None
        """The one that the last attempt was with; `ready` comes before any."""
        self.told = Told()
        self.course = Course()

    def events(self, path: str, body: Mapping[str, Any], terms: Terms) -> AsyncGenerator[Event, None]:
        """The answer; see `answering.answer`."""
        wanted = asked(body)
        attempt = partial(self._attempt, path, body)
        return answer(self.told, attempt, self._ready, replace(terms, grammar=wanted.grammar), self.course)

    async def once(
        self, path: str, body: Mapping[str, Any], generation: int, emitted: tuple[int, ...]
    ) -> AsyncGenerator[Event, None]:
        """One attempt with one generation, private fields and all: a relay goes on by itself."""
        self._generation = generation
        async with aclosing(self._attempt(path, body, replace(asked(body), emitted=emitted))) as events:
            async for event in events:
                if not isinstance(event, str):
                    self.told.note(event)
                    self.told.tokens.extend(event.get(FIELD, {}).get("tokens") or ())
                yield event
        if self.told.finish is None:
            raise UpstreamFailed("mlx-lm ended its answer before it was whole")

    def _attempt(self, path: str, body: Mapping[str, Any], wanted: Asked) -> AsyncGenerator[Event, None]:
        private = wanted.field() if wanted.emitted or wanted.grammar is not None else {}
        events = self._upstream.events(path, {**body, **private})
        return watched(events, partial(self._readiness.lost, self._generation))

    async def _ready(self) -> None:
        self._tally.held += 1
        try:
            self._generation = await self._patience.spend(self._readiness.ready(self._generation))
        finally:
            self._tally.held -= 1
