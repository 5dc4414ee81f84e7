"""The agent's HTTP API, as `serving.api` words it. Every path but /live needs the cluster's token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api import (
    GENERATION_HEADER,
    WEIGHTS_HEADER,
    DrainOrder,
    EndpointReport,
    Order,
    RankOrder,
    Readmission,
    SpeedOrder,
)
from serving.conductor.conducting import Conducting
from serving.conductor.peers import Keeper
from serving.declared import Declared
from serving.endpoint.responses import ERRORS, error, unavailable
from serving.errors import DrainRefused, SpeedUnknown, StartRefused, TransportRefused

Kind = TypeVar("Kind", bound=Order)
Words = TypeVar("Words", bound=Declared)
Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class Served(Protocol):
    """The endpoint of a replica."""

    @property
    def report(self) -> EndpointReport:
        """What there is to say of it now."""
        ...

    def routes(self) -> Sequence[BaseRoute]:
        """What clients may call."""
        ...


def application(
    keeper: Keeper, conducting: Conducting | None, token: str, lifespan: Lifespan, endpoint: Served | None = None
) -> Starlette:
    """The agent's application. `conducting` and `endpoint` only where rank 0 is."""
    own = _Routes(keeper, conducting, endpoint)
    return Starlette(
        routes=[*own.routes(), *([] if endpoint is None else endpoint.routes())],
        middleware=[Middleware(TokenGuard, token=token)],
        lifespan=lifespan,
        exception_handlers=ERRORS,
    )


class TokenGuard:
    """ASGI middleware: 401 without `Authorization: Bearer <token>`, in OpenAI's shape."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass who knows the token, and who asks for nothing but a sign of life."""
        if scope["type"] == "http" and scope["path"] != "/live" and not self._knows(scope):
            await error(401, "The token is missing or wrong.", "authentication_error")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "")
        return hmac.compare_digest(given.encode(), self._expected)


class _Routes:
    def __init__(self, keeper: Keeper, conducting: Conducting | None, endpoint: Served | None) -> None:
        self._keeper = keeper
        self._conducting = conducting
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        return [
            Route("/live", self._live),
            Route("/state", self._state),
            Route("/ready", self._ready),
            Route("/replica/afresh", self._begin_afresh, methods=["POST"]),
            Route("/replica/drain", self._drain, methods=["PUT"]),
            Route("/replica/drain", self._readmit, methods=["DELETE"]),
            Route("/replica/speed", self._speed, methods=["POST"]),
            Route("/rank", self._start, methods=["POST"]),
            Route("/rank", self._stop, methods=["DELETE"]),
            Route("/rank/join", self._join, methods=["POST"]),
        ]

    async def _live(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _state(self, _: Request) -> Response:
        replica = None if self._conducting is None else self._conducting.state
        endpoint = None if self._endpoint is None else self._endpoint.report
        state = (await self._keeper.state()).model_copy(update={"replica": replica, "endpoint": endpoint})
        return Response(state.model_dump_json(), media_type="application/json")

    async def _ready(self, _: Request) -> Response:
        if self._conducting is None:
            return _conducts_none()
        why_not = await self._conducting.why_not_ready()
        state = self._conducting.state
        code = "draining" if state.state == "draining" else None
        response = unavailable(why_not, code) if why_not else PlainTextResponse("ready\n")
        response.headers[GENERATION_HEADER] = str(state.generation)
        response.headers[WEIGHTS_HEADER] = self._conducting.weights
        return response

    async def _begin_afresh(self, _: Request) -> Response:
        if self._conducting is None:
            return _conducts_none()
        self._conducting.begin_afresh()
        return Response(status_code=202)

    async def _speed(self, request: Request) -> Response:
        if self._conducting is None:
            return _conducts_none()
        try:
            order = SpeedOrder.model_validate_json(await request.body() or b"{}")
            speed = await self._conducting.speed(order.enough)
        except ValidationError as fault:
            return PlainTextResponse(str(fault), 400)
        except SpeedUnknown as unknown:
            return PlainTextResponse(str(unknown), 409)
        return Response(speed.model_dump_json(), media_type="application/json")

    async def _drain(self, request: Request) -> Response:
        def drain(conducting: Conducting, order: DrainOrder) -> None:
            conducting.drain(order.by, order.seconds, from_restart=order.from_restart)

        return await self._held(request, DrainOrder, drain)

    async def _readmit(self, request: Request) -> Response:
        return await self._held(request, Readmission, lambda conducting, order: conducting.readmit(order.by))

    async def _held(self, request: Request, kind: type[Words], act: Callable[[Conducting, Words], None]) -> Response:
        """Do what somebody wants who may run another release than this agent, so that nothing has to agree."""
        if self._conducting is None:
            return _conducts_none()
        try:
            act(self._conducting, kind.model_validate_json(await request.body()))
        except ValidationError as fault:
            return PlainTextResponse(str(fault), 400)
        except DrainRefused as refused:
            return PlainTextResponse(str(refused), 409)
        return Response(status_code=202)

    async def _start(self, request: Request) -> Response:
        return await self._told(request, RankOrder, lambda order: self._keeper.start(order.generation))

    async def _join(self, request: Request) -> Response:
        return await self._told(request, RankOrder, lambda order: self._keeper.let_in(order.generation))

    async def _stop(self, request: Request) -> Response:
        return await self._told(request, Order, lambda _: self._keeper.stop())

    async def _told(self, request: Request, kind: type[Kind], act: Callable[[Kind], Awaitable[None]]) -> Response:
        """Do what the conductor of this machine's own configuration says, while it still waits for the answer."""
        try:
            order = kind.model_validate_json(await request.body())
        except ValidationError as fault:
            return PlainTextResponse(str(fault), 400)
        own = await self._keeper.state()
        if order.agreement != own.agreement:
            return PlainTextResponse(f"{own.machine} belongs to another configuration, release {own.release}.", 409)
        if await request.is_disconnected():
            # An order that lay here while this process was stopped is not what its sender wants now.
            return Response(status_code=408)
        try:
            await act(order)
        except (StartRefused, TransportRefused) as refused:
            return PlainTextResponse(str(refused), 409)
        return Response(status_code=202)


def _conducts_none() -> Response:
    return error(404, "This machine carries no replica's rank 0.", "invalid_request_error")
