"""The OpenAI-compatible door of one replica. Nothing else reaches `mlx_lm.server`.

Only whole, typed, bounded requests pass (`requests`), as many at once as there are slots (`admission`). What a replica
cannot answer now is held and asked again (`answering`), for as long as a request may wait. Errors have OpenAI's shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.api import EndpointReport, ReplicaState
from serving.configuration import ReplicaConfiguration
from serving.endpoint import openapi, relayed
from serving.endpoint.admission import Admission, Pace
from serving.endpoint.answering import Event, Terms
from serving.endpoint.body import read_body
from serving.endpoint.counting import Counting
from serving.endpoint.exchange import ClientLeft, Door, Exchange
from serving.endpoint.metrics import Exposition, Tally, exposed
from serving.endpoint.readiness import Patience, Readiness, Times
from serving.endpoint.requests import Kind, body_limit
from serving.endpoint.responses import Told, data, error, told
from serving.endpoint.telling import Chunk
from serving.endpoint.turn import Turn
from serving.endpoint.upstream import Upstream
from serving.endpoint.whole import collected
from serving.errors import CidermillError, ReplicaUnavailable, UpstreamFailed


class Endpoint:
    """OpenAI's chat and completions for one replica."""

    def __init__(
        self,
        replica: ReplicaConfiguration,
        state: Callable[[], ReplicaState],
        changed: Callable[[], Coroutine[Any, Any, None]],
        upstream: Upstream,
        times: Times | None = None,
        counting: Counting | None = None,
    ) -> None:
        self._replica = replica
        self._upstream = upstream
        self.counting = counting or Counting(replica)
        self._admission = Admission(replica.slots, replica.queue)
        self._pace = Pace(replica.slots)
        self._readiness = Readiness(state, changed, times)
        self._tally = Tally()
        self._tally.registry.register(Exposition(lambda: self.report, state))

    @property
    def report(self) -> EndpointReport:
        """What there is to say of it now."""
        return self._tally.report(self._admission)

    def routes(self) -> list[Route]:
        """What clients may call."""
        return [
            Route("/v1/chat/completions", Door(partial(self._serve, "chat")), methods=["POST"]),
            Route("/v1/completions", Door(partial(self._serve, "text")), methods=["POST"]),
            Route("/count", Door(self._count), methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{name:path}", self._one, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            openapi.route(self._replica),
        ]

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._served()]})

    async def _one(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name != self._replica.weights:
            return error(404, f"cannot find model '{name[:80]}': here is '{self._replica.weights}'.", "not_found_error")
        return JSONResponse(self._served())

    def _served(self) -> dict[str, Any]:
        context = self._replica.context_tokens
        served = {"id": self._replica.weights, "object": "model", "created": 0, "owned_by": "cidermill"}
        return served | {"max_model_len": context, "context_window": context}

    async def _metrics(self, _: Request) -> Response:
        return Response(exposed(self._tally.registry), media_type=CONTENT_TYPE_LATEST)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """How many tokens the prompt of a chat has, however long it is; it is not answered, and takes no slot."""
        request = Request(scope, receive)
        try:
            content = await read_body(request, body_limit(self._replica))
            response: Response = JSONResponse({"input_tokens": await self.counting.tokens("chat", content)})
        except ClientDisconnect:
            return
        except CidermillError as fault:
            response = told(fault, self._replica.name, self._pace.retry_seconds(self._admission.waiting)).response()
        await response(scope, receive, send)

    async def _serve(self, kind: Kind, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one client, and count how it ended."""
        request, exchange = Request(scope, receive), Exchange(scope, receive, send)
        try:
            content = await read_body(request, body_limit(self._replica))
            work = self._relay if relayed.asks(request.headers) else self._answer
            await exchange.until_left(work(kind, request, content, exchange))
            outcome = "answered"
        except (ClientDisconnect, ClientLeft):
            outcome = "left"
        except CidermillError as fault:
            tell = told(fault, self._replica.name, self._pace.retry_seconds(self._admission.waiting))
            tell = relayed.told(fault, tell) if relayed.asks(request.headers) else tell
            outcome = tell.outcome
            with suppress(ClientLeft):
                await exchange.give_up(data(tell.object), tell.response())
        except BaseException as end:
            self._tally.requests["failed"] += 1
            # This process ends. Who reads a stream sees that it breaks off; who has heard nothing needs to be told.
            if isinstance(end, asyncio.CancelledError) and exchange.is_silent:
                await exchange.whole(self._ending(request).response())
            raise
        self._tally.requests[outcome] += 1

    def _ending(self, request: Request) -> Told:
        if relayed.asks(request.headers):
            fault = UpstreamFailed("the endpoint ends")
            return relayed.told(fault, told(fault, self._replica.name, 0))
        why = f"cannot answer: this endpoint of replica '{self._replica.name}' ends, as its agent does."
        return told(ReplicaUnavailable(why), self._replica.name, 0)

    async def _answer(self, kind: Kind, request: Request, content: bytes, exchange: Exchange) -> None:
        came = asyncio.get_running_loop().time()
        wanted = await self.counting.request(kind, content)
        self._readiness.require_open()
        patience = Patience(self._replica.wait_seconds, self._readiness)
        async with AsyncExitStack() as slot:
            await self._enter(slot, request, patience)
            turn = self._turn(slot, patience)
            terms = Terms(wanted.body["max_tokens"], wanted.prompt_tokens)
            events = self._timed(came, turn.events(request.url.path, wanted.body, terms))
            await (self._stream(events, exchange, wanted.usage) if wanted.stream else self._collect(events, exchange))

    async def _relay(self, kind: Kind, request: Request, content: bytes, exchange: Exchange) -> None:
        """Answer a relay: one attempt, without waiting for the replica."""
        clock = asyncio.get_running_loop().time
        came = clock()
        emitted, content = relayed.split(content)
        wanted = await self.counting.request(kind, content)
        generation = self._readiness.require_ready()
        patience = Patience(self._replica.wait_seconds, self._readiness)
        async with AsyncExitStack() as slot:
            await slot.enter_async_context(relayed.alive(exchange))
            async with relayed.unless(self._readiness.lost(generation, clock)):
                await self._enter(slot, request, patience)
            turn = self._turn(slot, patience)
            events = self._timed(came, turn.once(request.url.path, wanted.body, generation, emitted))
            ended = partial(self.counting.stopped_by, stops=wanted.body.get("stop") or ())
            await self._stream(relayed.announced(wanted.prompt_tokens, ended, events), exchange, usage=True)

    async def _enter(self, slot: AsyncExitStack, request: Request, patience: Patience) -> None:
        key = request.headers.get(relayed.KEY_HEADER, "")
        await patience.spend(slot.enter_async_context(self._admission.slot(key)))

    def _turn(self, slot: AsyncExitStack, patience: Patience) -> Turn:
        """The turn of a request that has its slot; both are counted when the slot is free again."""
        clock = asyncio.get_running_loop().time
        began = clock()
        slot.callback(lambda: self._pace.took(clock() - began))
        turn = Turn(self._readiness, self._upstream, patience, self._tally)
        slot.callback(lambda: self._tally.add(turn.told, turn.course))
        return turn

    async def _stream(self, events: AsyncGenerator[Event, None], exchange: Exchange, usage: bool) -> None:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, str):
                    await exchange.part(f"{event}\n\n".encode())
                elif usage or event["choices"]:
                    await exchange.part(data(self._named(event)))
        await exchange.end(b"data: [DONE]\n\n")

    async def _collect(self, events: AsyncGenerator[Event, None], exchange: Exchange) -> None:
        whole = await collected(events)
        await exchange.whole(JSONResponse({**whole, "model": self._replica.weights}))

    async def _timed(self, came: float, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        clock, last = asyncio.get_running_loop().time, None
        async with aclosing(events):
            async for event in events:
                if not isinstance(event, str) and event["choices"]:
                    now = clock()
                    (self._tally.first if last is None else self._tally.between).observe(now - (last or came))
                    last = now
                yield event

    def _named(self, chunk: Chunk) -> Chunk:
        chunk = {**chunk, "model": self._replica.weights}
        if chunk["object"] == "chat.completion":  # mlx-lm's word in its usage chunk
            chunk["object"] = "chat.completion.chunk"
        return chunk
