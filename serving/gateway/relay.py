"""The relay beneath LiteLLM: one door for all replicas that serve a name, on loopback, with the cluster's token.

LiteLLM can neither hold a request until a replica is ready nor go on with a stream that broke off; the relay does both,
by the endpoint's own rules (`serving.endpoint.answering`), over several replicas. A request goes to the least busy one
that is ready, or where its conversation was read before, and on to another when that one falls: asked again while it
has told nothing, continued word for word from its tokens when it has. Nothing is told twice and nothing is altered.
Who began a stream, or ended an answer in one piece, is named by a header, also when none of ours did.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from serving.agent.http import TokenGuard
from serving.endpoint.answering import Course, Event, Terms, answer
from serving.endpoint.body import read_body
from serving.endpoint.exchange import ClientLeft, Door, Exchange
from serving.endpoint.relayed import KEY_HEADER
from serving.endpoint.requests import parse
from serving.endpoint.responses import ERRORS, RETRY_SECONDS, data, told
from serving.endpoint.telling import Told
from serving.endpoint.whole import collected
from serving.errors import CidermillError, RequestRefused
from serving.gateway.aside import COUNT_HEADER, Aside, Refusal, Word
from serving.gateway.aside import HEADER as REQUEST_HEADER
from serving.gateway.gathering import gathered
from serving.gateway.relay_counting import NOTHING_SAID, count
from serving.gateway.relay_external import Backends
from serving.gateway.relay_replicas import Replicas
from serving.gateway.relay_turn import Attempts, Turn
from serving.gateway.relay_upstream import Endpoints, Refused
from serving.gateway.schemas import restored

REPLICA_HEADER: Final = "x-cidermill-replica"


Used = Callable[[str | None, int, float], None]
"""Is told whose answer is over, how many tokens it was, prompt included, and when, in seconds of `monotonic`."""


@dataclass(frozen=True)
class Beside:
    """Whom the relay has to do with beside its replicas."""

    aside: Aside = field(default_factory=Aside)
    """Where a door above it listens."""
    external: Backends = field(default_factory=Backends)
    used: Used | None = None


def application(replicas: Replicas, endpoints: Endpoints, token: str, beside: Beside | None = None) -> Starlette:
    """The relay, and the looks at its replicas for as long as it runs."""
    beside = beside or Beside()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        watching = asyncio.create_task(replicas.watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            await endpoints.close()
            await beside.external.close()

    relay = Door(Relay(replicas, endpoints, beside).serve)
    return Starlette(
        routes=[Route(path, relay, methods=["POST"]) for path in ("/v1/chat/completions", "/v1/completions")],
        middleware=[Middleware(TokenGuard, token=token)],
        lifespan=lifespan,
        exception_handlers=ERRORS,
    )


class Relay:
    """OpenAI's chat and completions over several replicas."""

    def __init__(self, replicas: Replicas, endpoints: Endpoints, beside: Beside) -> None:
        self._replicas = replicas
        self._endpoints = endpoints
        self._aside = beside.aside
        self._backends = beside.external
        self._used = beside.used
        self._body_bytes = max((self._backends.body_bytes, *(each.served.body_bytes for each in replicas.known)))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        word = self._aside.word(request.headers.get(REQUEST_HEADER))
        word.asked, naming = True, _Naming(send, word)
        exchange = Exchange(scope, receive, naming.send)
        with suppress(ClientDisconnect, ClientLeft):
            try:
                content = await read_body(request, self._body_bytes)
                await exchange.until_left(self._answer(request, content, exchange, naming))
            except Refused as refused:
                refusal = refused.refusal
                word.refusal = Refusal(refusal.status, refusal.error, refusal.headers.get("retry-after"))
                response = Response(refusal.content, refusal.status, refusal.headers)
                await exchange.give_up(b"data: " + refusal.content + b"\n\n", response)
            except CidermillError as fault:
                tell = told(fault, naming.replica, RETRY_SECONDS)
                again = None if tell.retry_seconds is None else str(tell.retry_seconds)
                word.refusal = Refusal(tell.status, tell.object["error"], again)
                await exchange.give_up(data(tell.object), tell.response())

    async def _answer(self, request: Request, content: bytes, exchange: Exchange, naming: _Naming) -> None:
        body = restored(parse(content), naming.word.schemas)
        serving, backends = self._replicas.serving(body.get("model")), self._backends.answering(body.get("model"))
        if not serving and not backends:
            raise RequestRefused("cannot find the model that is asked for. See /v1/models.", "model", status=404)
        if request.headers.get(COUNT_HEADER) == "1":
            naming.word.counted = await count(serving, self._endpoints, body)
            await exchange.whole(JSONResponse(NOTHING_SAID))
            return
        headers = {name: request.headers[name] for name in (KEY_HEADER,) if name in request.headers}
        told_so_far = Told()
        attempts = Attempts(self._endpoints, self._backends.client, request.url.path, body, headers, naming.word)
        turn = Turn(self._replicas, serving, backends, attempts, told_so_far)
        naming.turn = turn
        try:
            events = answer(told_so_far, turn.attempt, turn.ready, Terms(most_tokens=_most_tokens(body)), Course())
            if body.get("stream"):
                await _stream(events, exchange, _wants_usage(body))
            else:
                await exchange.whole(JSONResponse(await collected(events)))
        finally:
            turn.leave()
            if self._used is not None:
                self._used(headers.get(KEY_HEADER), _tokens(told_so_far), monotonic())


class _Naming:
    """The way back to a client, with the name of who tells it."""

    def __init__(self, send: Send, word: Word) -> None:
        self._send = send
        self.word = word
        self.turn: Turn | None = None

    @property
    def replica(self) -> str:
        return "" if self.turn is None else self.turn.name

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.replica:
            self.word.replica = self.replica
            named = (REPLICA_HEADER.encode(), self.replica.encode())
            message = {**message, "headers": [*message["headers"], named]}
        await self._send(message)


async def _stream(events: AsyncGenerator[Event, None], exchange: Exchange, usage: bool) -> None:
    async with aclosing(gathered(events)) as pieces:
        async for event in pieces:
            # Nothing is sent before the first chunk: until then an error can still have its status.
            if not isinstance(event, str) and (usage or event["choices"]):
                await exchange.part(data(event))
    await exchange.end(b"data: [DONE]\n\n")


def _tokens(has: Told) -> int:
    """What an answer has used; of one that broke off only what its client was told, for nobody counted its prompt."""
    return len(has.tokens) if has.usage is None else has.usage.get("total_tokens", 0)


def _most_tokens(body: dict[str, Any]) -> int | None:
    """The length of the answer, as far as the request says it."""
    newer = body.get("max_completion_tokens")
    most = body.get("max_tokens") if newer is None else newer
    return most if isinstance(most, int) else None


def _wants_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # JSON
