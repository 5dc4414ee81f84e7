"""One request at the relay: which replica it is at, where it goes next, and how long it may still wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from serving.endpoint.answering import Event
from serving.endpoint.readiness import Patience, watched
from serving.endpoint.relayed import prompt_tokens, stopped_by
from serving.errors import UpstreamFailed, UpstreamUnreachable
from serving.gateway.aside import Word
from serving.gateway.relay_replicas import Known, Replicas, choose
from serving.gateway.relay_upstream import Endpoints, Full, Refusal, Refused
from serving.rank.asked import FIELD, Asked

_AGAIN_SECONDS: Final = 1.0
"""Until a replica that was full is asked again, by a request that another one had taken."""


class Turn:
    """A request on its way; leave it when it is over."""

    def __init__(
        self,
        replicas: Replicas,
        serving: Sequence[Known],
        endpoints: Endpoints,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        word: Word | None = None,
    ) -> None:
        self._replicas = replicas
        self._serving = serving
        self._endpoints = endpoints
        self._path = path
        self._body = upstream_body(body)
        self._headers = headers
        self._patience = Patience(max(each.served.wait_seconds for each in serving), self)
        self._full: dict[Known, tuple[float, Refusal]] = {}
        """When each said that it takes no more, and how."""
        self._failed: Known | None = None
        self._taken = False
        """Whether a replica took it once: from then on it is ours to bring to an end."""
        self._seated = False
        self.at: Known | None = None
        """The replica that was asked last."""
        self._word = word or Word()

    def explain(self, waited: float) -> str:
        """Why a request that has waited as long as it may was not answered."""
        states = "; ".join(f"replica '{each.served.name}': {each.seen.reason or 'busy'}" for each in self._serving)
        return f"cannot answer this request: it waited {waited:g} s for a replica that is ready. {states}."

    async def ready(self) -> None:
        """Wait for a replica, and be at it. Raises Refused when all that are ready are full, ReplicaUnavailable."""
        self.leave()
        await self._patience.spend(self._enter())

    async def attempt(self, asked: Asked) -> AsyncGenerator[Event, None]:
        """Ask the replica that this request is at; its comments are for the relay alone."""
        at = self.at
        if at is None:
            raise UpstreamFailed("no replica was chosen")
        private = {FIELD: {"emitted": list(asked.emitted)}} if asked.emitted else {}
        events = self._endpoints.events(f"{at.served.url}{self._path}", {**self._body, **private}, self._headers)
        came = False
        try:
            async with aclosing(watched(events, partial(self._replicas.lost, at))) as heard:
                async for event in heard:
                    came = True
                    if isinstance(event, str):
                        self._hear(event)
                    else:
                        self._taken = True
                        yield event
        except Full as full:
            self._full[at] = (asyncio.get_running_loop().time(), full.refusal)
            raise
        except UpstreamFailed as failed:
            # What an endpoint says may hold words of the request; those are no business of a log.
            logging.warning(
                "Replica %s broke off an answer: %s", at.served.name, type(failed.__cause__ or failed).__name__
            )
            at.doubt(asyncio.get_running_loop().time())
            self._failed = at
            self._taken = self._taken or came or not isinstance(failed, UpstreamUnreachable)
            raise

    def leave(self) -> None:
        """Be at no replica any more."""
        if self.at is not None and self._seated:
            self.at.in_flight -= 1
        self._seated = False

    def _hear(self, comment: str) -> None:
        """Tell the door what an endpoint tells beside the answer."""
        counted, stop = prompt_tokens(comment), stopped_by(comment)
        self._word.prompt_tokens = self._word.prompt_tokens if counted is None else counted
        self._word.stopped_by = self._word.stopped_by if stop is None else stop

    async def _enter(self) -> None:
        while not self._take():
            await self._replicas.changed(_AGAIN_SECONDS if self._full else None)

    def _take(self) -> bool:
        now = asyncio.get_running_loop().time()
        full = {each for each, (when, _) in self._full.items() if not self._taken or now < when + _AGAIN_SECONDS}
        avoided = () if self._failed is None else (self._failed,)
        chosen = choose((each for each in self._serving if each not in full), avoided)
        if chosen is None:
            if full and not self._taken:
                raise Refused(min((refusal for _, refusal in self._full.values()), key=lambda each: each.retry_seconds))
            return False
        self.at, self._seated = chosen, True
        chosen.in_flight += 1
        chosen.given += 1
        return True


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
