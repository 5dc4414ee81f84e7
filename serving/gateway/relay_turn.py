"""One request at the relay: which replica it is at, where it goes next, and how long it may still wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import httpx

from serving.endpoint.answering import Event
from serving.endpoint.readiness import Patience, watched
from serving.endpoint.relayed import prompt_tokens, stopped_by
from serving.endpoint.telling import Told
from serving.errors import UpstreamFailed, UpstreamUnreachable
from serving.gateway.affinity import beginnings
from serving.gateway.aside import Word
from serving.gateway.relay_external import Backend, first_usable
from serving.gateway.relay_replicas import Known, Replicas, choose
from serving.gateway.relay_upstream import Endpoints, Full, Refusal, Refused
from serving.rank.asked import FIELD, Asked

_AGAIN_SECONDS: Final = 1.0
"""Until one that was full, or failed, is asked again by a request that waits."""


@dataclass(frozen=True)
class Attempts:
    """What is asked, and how it is sent."""

    endpoints: Endpoints
    client: httpx.AsyncClient
    """For backends that are none of ours."""
    path: str
    body: Mapping[str, Any]
    """As the client has it."""
    headers: Mapping[str, str]
    word: Word = field(default_factory=Word)
    """What is told to the door beside the answer."""


class Turn:
    """A request on its way; leave it when it is over.

    `backends` may answer in place of `serving`, the replicas of its weights: when none of these says that it is ready,
    or all that do are full. One that failed a moment ago and says that it is ready is waited for.
    """

    def __init__(
        self,
        replicas: Replicas,
        serving: Sequence[Known],
        backends: Sequence[Backend],
        attempts: Attempts,
        told: Told,
    ) -> None:
        self._replicas = replicas
        self._serving = serving
        self._backends = backends
        self._attempts = attempts
        self._told = told
        self._body = upstream_body(attempts.body)
        self._beginnings = beginnings(attempts.body)
        self._patience = Patience(max((each.served.wait_seconds for each in serving), default=0), self)
        self._full: dict[Known, tuple[float, Refusal]] = {}
        """When each said that it takes no more, and how."""
        self._failed: Known | None = None
        self._taken = False
        """Whether a replica took it once: from then on it is ours to bring to an end."""
        self._weights: str | None = None
        """What began the answer. While weights are changed, others of the same name serve beside them."""
        self._seated = False
        self.at: Known | Backend | None = None
        """Who was asked last."""

    @property
    def name(self) -> str:
        """Of who was asked last."""
        if self.at is None:
            return ""
        return self.at.name if isinstance(self.at, Backend) else self.at.served.name

    def explain(self, waited: float) -> str:
        """Why a request that has waited as long as it may was not answered."""
        states = [f"replica '{each.served.name}': {each.seen.reason or 'busy'}" for each in self._serving]
        others = [each.problem or f"{each.name} is not asked now" for each in self._backends]
        whom = "a replica that is ready" if self._serving else "a backend that answers"
        return f"cannot answer this request: it waited {waited:g} s for {whom}. {'; '.join((*states, *others))}."

    async def ready(self) -> None:
        """Wait for a replica, and be at it. Raises Refused when all that are ready are full, ReplicaUnavailable."""
        self.leave()
        await self._patience.spend(self._enter())

    def attempt(self, asked: Asked) -> AsyncGenerator[Event, None]:
        """Ask whom this request is at; comments are for the relay alone."""
        if self.at is None:
            raise UpstreamFailed("no replica was chosen")
        return self._ask_backend(self.at) if isinstance(self.at, Backend) else self._ask(self.at, asked)

    def leave(self) -> None:
        """Be at no replica any more."""
        if isinstance(self.at, Known) and self._seated:
            self.at.in_flight -= 1
        self._seated = False

    async def _ask(self, at: Known, asked: Asked) -> AsyncGenerator[Event, None]:
        private = {FIELD: {"emitted": list(asked.emitted)}} if asked.emitted else {}
        url, body = f"{at.served.url}{self._attempts.path}", {**self._body, **private}
        events = self._attempts.endpoints.events(url, body, self._attempts.headers)
        came = False
        try:
            async with aclosing(watched(events, partial(self._replicas.lost, at))) as heard:
                async for event in heard:
                    came = True
                    if isinstance(event, str):
                        self._hear(event)
                    else:
                        self._taken = True
                        self._weights = self._weights or at.seen.weights
                        yield event
            at.remembered.note(self._beginnings)
        except Full as full:
            self._full[at] = (_now(), full.refusal)
            raise
        except UpstreamFailed as failed:
            # What an endpoint says may hold words of the request; those are no business of a log.
            logging.warning(
                "Replica %s broke off an answer: %s", at.served.name, type(failed.__cause__ or failed).__name__
            )
            at.doubt(_now())
            self._failed = at
            self._taken = self._taken or came or not isinstance(failed, UpstreamUnreachable)
            raise

    async def _ask_backend(self, at: Backend) -> AsyncGenerator[Event, None]:
        if self._serving:
            weights = self._serving[0].served.weights
            logging.warning(
                "No replica can answer a request for %s: it goes to external backend %s", weights, at.told.name
            )
        else:
            logging.info("A request goes to external backend %s", at.told.name)
        try:
            events = at.events(self._attempts.client, self._attempts.path, self._body, alone=not self._serving)
            async with aclosing(events):
                async for event in events:
                    if not isinstance(event, str):
                        yield event
        except UpstreamFailed as failed:
            at.doubt(_now(), str(failed))
            raise

    def _hear(self, comment: str) -> None:
        """Tell the door what an endpoint tells beside the answer."""
        word, counted, stop = self._attempts.word, prompt_tokens(comment), stopped_by(comment)
        word.prompt_tokens = word.prompt_tokens if counted is None else counted
        word.stopped_by = word.stopped_by if stop is None else stop

    async def _enter(self) -> None:
        while not self._take():
            await self._replicas.changed(_AGAIN_SECONDS if self._full or self._backends else None)

    def _take(self) -> bool:
        full = {each for each, (when, _) in self._full.items() if not self._taken or _now() < when + _AGAIN_SECONDS}
        avoided = () if self._failed is None else (self._failed,)
        able = (each for each in self._serving if each not in full and self._may_go_on(each))
        chosen = choose(able, avoided, self._beginnings)
        if chosen is not None:
            self.at, self._seated = chosen, True
            chosen.in_flight += 1
            chosen.given += 1
            return True
        instead = self._instead(full)
        if instead is not None:
            self.at = instead
            return True
        if full and not self._taken:
            raise Refused(min((refusal for _, refusal in self._full.values()), key=lambda each: each.retry_seconds))
        return False

    def _may_go_on(self, known: Known) -> bool:
        """Whether what it says would be the same answer, as far as one was begun."""
        return (
            not self._told.begun or None in (self._weights, known.seen.weights) or known.seen.weights == self._weights
        )

    def _instead(self, full: set[Known]) -> Backend | None:
        """Who may answer as no replica can. What was begun by one that knows its tokens nobody else can go on with."""
        may_come = any(each.may_be_ready and each not in full for each in self._serving)
        return None if may_come or self._told.begun else first_usable(self._backends, _now())


def _now() -> float:
    return asyncio.get_running_loop().time()


def upstream_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a replica is asked: always for a stream with its usage. What is wrong with a request stays as it is."""
    asked, options = dict(body), body.get("stream_options")
    if isinstance(body.get("stream") or False, bool):
        asked["stream"] = True
    if options is None or isinstance(options, dict):
        wanted: dict[str, Any] = {**(options or {})}
        if isinstance(wanted.get("include_usage") or False, bool):
            wanted["include_usage"] = True
        asked["stream_options"] = wanted
    return asked
