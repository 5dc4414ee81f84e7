"""The door: what HTTP of the gateway's clients reaches LiteLLM, and what of LiteLLM's HTTP reaches them. ASGI.

Paths and headers pass by a list, in both directions; who may come in, with what, and how often is for the `entrance` to
say; bodies are bounded; errors are told in the endpoint's words and the shape of the API that was asked; each API's
requests and answers go through their `translation`. LiteLLM reads a body by its content type, forms too: it is told
that everything is JSON, so that it finds no other name in it than was found here. Checked with litellm 1.109.1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any, Final

import orjson
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.endpoint.body import read_body
from serving.endpoint.requests import parse
from serving.errors import KeyRefused, RequestRefused
from serving.gateway.apis import COUNT, MODELS, Api, Fault, Route, api_of, not_served, route_of, wrong_method
from serving.gateway.aside import COUNT_HEADER, HEADER, Aside, Word
from serving.gateway.catalogue import Catalogue
from serving.gateway.entrance import KEY, Entrance, require_own
from serving.gateway.keys import Key
from serving.gateway.names import ServedName
from serving.gateway.passage import Passage
from serving.gateway.translation import Translation
from serving.gateway.translation_messages import Messages
from serving.gateway.translation_openai import OpenAi
from serving.gateway.translation_responses import Responses

_LET_IN: Final = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "authorization",
        "content-type",
        "host",
        "user-agent",
        "x-api-key",
    }
)
"""Headers of requests. LiteLLM obeys several dozen more: keys under other names, tags, time limits, other backends."""
_TOO_LARGE: Final = 413
_DRAIN_SECONDS: Final = 5.0


class Door:
    """An ASGI application in front of LiteLLM's."""

    def __init__(
        self, app: ASGIApp, entrance: Entrance, names: Sequence[ServedName], body_bytes: int, aside: Aside
    ) -> None:
        self._app = app
        self._entrance = entrance
        self._catalogue = Catalogue(names)
        self._body_bytes = body_bytes
        self._aside = aside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what is on the list."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            with self._aside.opened() as word:
                await self._http(scope, receive, send, word)

    async def _http(self, scope: Scope, receive: Receive, send: Send, word: Word) -> None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        route, api = route_of(path), api_of(path, headers)
        passage = Passage(send, api, word)
        if route is None:
            await passage.refuse(not_served(path))
        elif method != route.method:
            await passage.refuse(wrong_method(method, path, route))
        else:
            try:
                await self._let_in(scope, receive, passage, route, api)
            except (KeyRefused, RequestRefused) as refused:
                # Nothing was said yet: whoever is let in is not refused any more.
                await passage.refuse(_of(refused))
            except ClientDisconnect:
                return
            except Exception as error:  # LiteLLM's own faults, of which there are some
                logging.exception("LiteLLM did not answer %s: %s", path, type(error).__name__)
                await passage.fail(error)

    async def _let_in(self, scope: Scope, receive: Receive, passage: Passage, route: Route, api: Api) -> None:
        path = scope["path"]
        if route.is_open:
            await self._ask(scope, receive, passage.whole(_health), {})
            return
        key = await self._key(scope, receive)
        known = {**scope, KEY: key}
        if route.method == "GET":
            inner = {**known, "path": MODELS, "raw_path": MODELS.encode()}
            await self._ask(inner, receive, passage.whole(self._catalogue.answer(path, api)), {})
            return
        translation = _translation(path, api, passage.word)
        body = translation.asked(await self._body(known, receive, key))
        own = {HEADER: passage.word.name, "content-type": "application/json"}
        own |= {COUNT_HEADER: "1"} if path == COUNT else {}
        passage.translate(translation, self._catalogue)
        # Limits are about answers: counting a prompt takes nothing from anybody.
        with nullcontext() if path == COUNT else self._entrance.under_way(key):
            await self._ask(_asking(known, path), _replayed(orjson.dumps(body), receive), passage, own)

    async def _key(self, scope: Scope, receive: Receive) -> Key:
        try:
            return self._entrance.known(dict(Headers(scope=scope).raw))
        except KeyRefused:
            await _drained(receive, self._body_bytes)
            raise

    async def _body(self, scope: Scope, receive: Receive, key: Key) -> Mapping[str, Any]:
        """A request, bounded, that asks for what its key may use. Raises RequestRefused, KeyRefused."""
        try:
            content = await read_body(Request(scope, receive), self._body_bytes)
        except RequestRefused as refused:
            if refused.status == _TOO_LARGE:
                await _drained(receive, self._body_bytes)
            raise
        body = parse(content)
        require_own(key, body)
        return body

    async def _ask(self, scope: Scope, receive: Receive, passage: Passage, own: dict[str, str]) -> None:
        """Ask LiteLLM, with the headers on the list and our own."""
        kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() in _LET_IN - {*own}]
        headers = [*kept, *((name.encode(), value.encode()) for name, value in own.items())]
        await self._app({**scope, "headers": headers, "query_string": b""}, receive, passage.send)
        await passage.close()


def _translation(path: str, api: Api, word: Word) -> Translation:
    if api == "responses":
        return Responses(word)
    return Messages(word, count=path == COUNT) if api == "messages" else OpenAi(api, word)


def _asking(scope: Scope, path: str) -> dict[str, Any]:
    """What is to be counted goes the way of a message."""
    asked = path.removesuffix("/count_tokens")
    return {**scope, "path": asked, "raw_path": asked.encode()}


def _replayed(content: bytes, receive: Receive) -> Receive:
    """The body in one piece, and then whatever comes from the client: that it leaves."""
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return again


async def _drained(receive: Receive, most: int) -> None:
    """Take the rest of a body, if it is not much more: who is cut off while sending does not read why."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            taken = 0
            while taken < most:
                message = await receive()
                taken += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return


def _health(status: int, _: Any) -> tuple[int, Any]:
    """Whether LiteLLM runs, and nothing else of it."""
    return (200, {"status": "ready"}) if status == 200 else (503, {"status": "not ready"})


def _of(refused: KeyRefused | RequestRefused) -> Fault:
    if isinstance(refused, RequestRefused):
        return Fault(refused.status, str(refused), None, refused.parameter, refused.code)
    again = None if refused.retry_seconds is None else str(refused.retry_seconds)
    return Fault(refused.status, str(refused), code=refused.code, retry_after=again)
