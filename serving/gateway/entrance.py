"""Who comes in: between the door and LiteLLM, every request is somebody's, or answered here.

The key is looked up, the name it asks for is compared with those it may use, and the request is counted for as long as
it is under way: until its last byte, or until its client has gone. So none of this depends on how LiteLLM 1.109.1 tells
of ends, and a refusal costs nothing but itself. What is refused is told in the shape of the API that was spoken.

LiteLLM reads a body by its content type, forms too; it is told that everything is JSON, so that it cannot find another
name in a body than was found here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import nullcontext
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, cast

from serving.errors import KeyRefused
from serving.gateway.configuration import OPEN_PATHS
from serving.gateway.key_file import KeyFile
from serving.gateway.keys import Key, found, require_allowed, shown
from serving.gateway.limits import Counts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY: Final = "cidermill.key"
"""Where in a request's scope its key is found (`serving.gateway.keys.Key`)."""

COUNTED: Final = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"})
"""What limits are about; the other paths do not reach a replica."""

_UNAUTHORIZED: Final = 401
_TYPES: Final = {_UNAUTHORIZED: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Entrance:
    """An application behind keys and limits."""

    def __init__(self, app: Application, keys: KeyFile, counts: Counts) -> None:
        self._app = app
        self._keys = keys
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            key = found(self._keys.keys(), shown(headers), datetime.now(UTC))
            await self._let_in({**scope, KEY: key}, receive, send)
        except KeyRefused as refused:
            # Nothing was said yet: whoever is let in is not refused any more.
            await _refuse(send, refused, _is_anthropics(scope["path"], headers))

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        key: Key = scope[KEY]
        if scope["method"] == "POST":
            body = await _body(receive)
            if body is None:
                return  # its client has gone
            if key.names is not None:
                require_allowed(key, _name(body))
            scope, receive = _as_json(scope), _again(body, receive)
        with self._counts.admitted(key, monotonic()) if scope["path"] in COUNTED else nullcontext():
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
    others = [each for each in scope["headers"] if each[0].lower() != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", b"application/json")]}


def _name(body: bytes) -> object:
    """What a request asks for; None when it cannot be told."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", asked).get("model") if isinstance(asked, dict) else None


def _is_anthropics(path: str, headers: Mapping[bytes, bytes]) -> bool:
    return path.startswith("/v1/messages") or b"anthropic-version" in headers


async def _refuse(send: Send, refused: KeyRefused, anthropics: bool) -> None:
    error: dict[str, Any] = {"type": _TYPES[refused.status], "message": str(refused)}
    told = (
        {"type": "error", "error": error} if anthropics else {"error": {**error, "param": None, "code": refused.code}}
    )
    body = json.dumps(told).encode()
    headers = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
    if refused.status == _UNAUTHORIZED:
        headers[b"www-authenticate"] = b"Bearer"
    if refused.retry_seconds is not None:
        headers[b"retry-after"] = str(refused.retry_seconds).encode()
    await send({"type": "http.response.start", "status": refused.status, "headers": [*headers.items()]})
    await send({"type": "http.response.body", "body": body})
