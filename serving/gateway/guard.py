"""The entrance as ASGI: between the door's list of paths and LiteLLM, every request is somebody's, or answered here.

A refusal costs nothing but itself, and is told in the shape of the API that was spoken. LiteLLM reads a body by its
content type, forms too; it is told that everything is JSON, so that it finds no other name in it than was found here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import nullcontext
from typing import Any, Final, cast

from serving.endpoint.relayed import KEY_HEADER
from serving.errors import KeyRefused, RequestRefused
from serving.gateway.configuration import OPEN_PATHS
from serving.gateway.entrance import KEY, Entrance, require_own
from serving.gateway.keys import Key

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

COUNTED: Final = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"})
"""What limits are about; the other paths do not reach a replica."""

_UNAUTHORIZED: Final = 401
_TYPES: Final = {
    400: "invalid_request_error",
    _UNAUTHORIZED: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_NOT_PASSED_ON: Final = frozenset({b"content-type", KEY_HEADER.encode()})


class Guard:
    """An application behind an entrance."""

    def __init__(self, app: Application, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            await self._let_in({**scope, KEY: self._entrance.known(headers)}, receive, send)
        except (KeyRefused, RequestRefused) as refused:
            # Nothing was said yet: whoever is let in is not refused any more.
            await _refuse(send, refused, _is_anthropics(scope["path"], headers))

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        key: Key = scope[KEY]
        if scope["method"] == "POST":
            body = await _body(receive)
            if body is None:
                return  # its client has gone
            require_own(key, _parsed(body))
            scope, receive = _as_json(scope), _again(body, receive)
        with self._entrance.under_way(key) if scope["path"] in COUNTED else nullcontext():
            await self._app(scope, receive, send)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when its client has left before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, in one piece, and then whatever comes after it."""
    pieces = [body]

    async def next_message() -> MutableMapping[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": False}
        return await receive()

    return next_message


def _as_json(scope: Scope) -> Scope:
    kept = [each for each in scope["headers"] if each[0].lower() not in _NOT_PASSED_ON]
    return {**scope, "headers": [*kept, (b"content-type", b"application/json")]}


def _parsed(body: bytes) -> Mapping[str, object] | None:
    """A request, None when it is no JSON object: LiteLLM has words for that."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", asked) if isinstance(asked, dict) else None


def _is_anthropics(path: str, headers: Mapping[bytes, bytes]) -> bool:
    return path.startswith("/v1/messages") or b"anthropic-version" in headers


async def _refuse(send: Send, refused: KeyRefused | RequestRefused, anthropics: bool) -> None:
    error = {"type": _TYPES[refused.status], "message": str(refused)}
    parameter = refused.parameter if isinstance(refused, RequestRefused) else None
    openais = {"error": {**error, "param": parameter, "code": refused.code}}
    body = json.dumps({"type": "error", "error": error} if anthropics else openais).encode()
    headers = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
    if refused.status == _UNAUTHORIZED:
        headers[b"www-authenticate"] = b"Bearer"
    if isinstance(refused, KeyRefused) and refused.retry_seconds is not None:
        headers[b"retry-after"] = str(refused.retry_seconds).encode()
    await send({"type": "http.response.start", "status": refused.status, "headers": [*headers.items()]})
    await send({"type": "http.response.body", "body": body})
