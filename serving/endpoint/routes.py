"""The OpenAI-compatible door of one replica. Nothing else reaches `mlx_lm.server`.

Only whole, typed, bounded requests pass (`requests`), and only while the replica is ready. Errors have OpenAI's shape.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.api import ReplicaState
from serving.configuration import ReplicaConfiguration
from serving.endpoint import openapi
from serving.endpoint.counting import Counting
from serving.endpoint.requests import Kind, body_limit
from serving.endpoint.upstream import Event, Upstream
from serving.errors import CidermillError, RequestRefused, UpstreamFailed

_RETRY_SECONDS = "5"
_CLIENT_LEFT = 499


class Endpoint:
    """OpenAI's chat and completions for one replica."""

    def __init__(self, replica: ReplicaConfiguration, state: Callable[[], ReplicaState], upstream: Upstream) -> None:
        self._replica = replica
        self._state = state
        self._upstream = upstream
        self.counting = Counting(replica)

    def routes(self) -> list[Route]:
        """What clients may call."""
        return [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/completions", self._text, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            openapi.route(self._replica),
        ]

    async def _chat(self, request: Request) -> Response:
        return await self._answer("chat", request)

    async def _text(self, request: Request) -> Response:
        return await self._answer("text", request)

    async def _models(self, _: Request) -> Response:
        served = {"id": self._replica.weights, "object": "model", "created": 0, "owned_by": "cidermill"}
        return JSONResponse({"object": "list", "data": [served]})

    async def _answer(self, kind: Kind, request: Request) -> Response:
        path = request.url.path
        try:
            asked = await self.counting.request(kind, await _body(request, body_limit(self._replica)))
            state = self._state()
            if state.state != "ready":
                return unavailable(f"replica '{state.name}' is {state.state}, needed ready.")
            if asked.stream:
                return await self._stream(path, asked.body, asked.usage)
            whole = await _unless_left(request, self._upstream.complete(path, asked.body))
        except RequestRefused as refused:
            return error(refused.status, str(refused), "invalid_request_error", refused.parameter, refused.code)
        except UpstreamFailed as failed:
            return error(502, _said(self._replica, failed), "server_error")
        return Response(status_code=_CLIENT_LEFT) if whole is None else JSONResponse(self._named(whole))

    async def _stream(self, path: str, body: dict[str, Any], usage: bool) -> Response:
        events = self._upstream.events(path, body)
        # Up to here a failure still has a status of its own.
        first = await anext(events, None)
        if first is None:
            raise UpstreamFailed("mlx-lm ended its answer without a chunk")
        return StreamingResponse(
            self._lines(first, events, usage), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )

    async def _lines(self, first: Event, events: AsyncGenerator[Event, None], usage: bool) -> AsyncGenerator[str, None]:
        try:
            yield self._line(first)
            async for event in events:
                if usage or isinstance(event, str) or event["choices"]:
                    yield self._line(event)
        except UpstreamFailed as failed:
            yield _data({"error": _error_object(_said(self._replica, failed), "server_error", None)})
        else:
            yield "data: [DONE]\n\n"
        finally:
            await events.aclose()

    def _line(self, event: Event) -> str:
        if isinstance(event, str):
            return f"{event}\n\n"
        named = self._named(event)
        if named["object"] == "chat.completion":  # mlx-lm's word in its usage chunk
            named["object"] = "chat.completion.chunk"
        return _data(named)

    def _named(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "model": self._replica.weights}


def error(status: int, message: str, kind: str, parameter: str | None = None, code: str | None = None) -> JSONResponse:
    """An error as OpenAI's clients expect it."""
    return JSONResponse({"error": _error_object(message, kind, parameter, code)}, status)


def unavailable(message: str) -> JSONResponse:
    """The replica cannot take a request now."""
    response = error(503, message, "server_error")
    response.headers["Retry-After"] = _RETRY_SECONDS
    return response


def _error_object(message: str, kind: str, parameter: str | None, code: str | None = None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": parameter, "code": code}


def _data(value: object) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _said(replica: ReplicaConfiguration, failed: CidermillError) -> str:
    return f"replica '{replica.name}' lost this request: {failed}. Send it again."


async def _body(request: Request, limit: int) -> bytes:
    content = bytearray()
    _require_short(int(request.headers.get("content-length", 0)), limit)  # who declares too much is not waited for
    async for part in request.stream():
        content += part
        _require_short(len(content), limit)
    return bytes(content)


def _require_short(size: int, limit: int) -> None:
    if size > limit:
        raise RequestRefused(f"cannot read the request: it has more than {limit} bytes. Shorten it.", status=413)


async def _unless_left(request: Request, answer: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | None:
    """The answer, or None when the client went away first; the answer is then abandoned."""
    answering = asyncio.create_task(answer)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else None
    finally:
        answering.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
