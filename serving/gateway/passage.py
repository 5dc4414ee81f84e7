"""One answer of LiteLLM's on its way to a client: bounded headers, plain errors, whole or event by event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson
from starlette.types import Message, Send

from serving.gateway.apis import Api, Fault, no_such_name
from serving.gateway.aside import Word
from serving.gateway.own_words import in_a_stream, of_litellm, of_the_endpoint
from serving.gateway.translation import Event, Translation, told_error

REPLICA_HEADER: Final = "x-cidermill-replica"
LEFT_OUT_HEADER: Final = "x-cidermill-left-out"
_LET_OUT: Final = frozenset({"content-type", "cache-control", "retry-after"})
"""Headers of answers, with those that begin with _LIMITS; LiteLLM tells of itself and of its backends in others."""
_LIMITS: Final = b"x-ratelimit-"

Whole = Callable[[int, Any], "tuple[int, Any] | Fault"]
"""What makes an answer out of one of LiteLLM's that is no error: of status and JSON, both."""


class Names(Protocol):
    """What is served."""

    def knows(self, name: object) -> bool:
        """Whether something is called so."""
        ...


class Passage:
    """The way out. `send` is LiteLLM's, `refuse` the door's own."""

    def __init__(self, send: Send, api: Api, word: Word) -> None:
        self.word = word
        self._give = send
        self._api: Api = api
        self._translation: Translation | None = None
        self._names: Names | None = None
        self._whole: Whole | None = None
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._held = bytearray()
        """Of an answer in one piece, all; of a stream, what is not yet a whole event."""
        self._streams = False
        self._begun = False
        self._ended = False
        self._over = False

    def translate(self, translation: Translation, names: Names) -> None:
        """Take an answer for one of this API."""
        self._translation, self._names = translation, names

    def whole(self, answer: Whole) -> Passage:
        """Take an answer for JSON, and make another of it."""
        self._whole = answer
        return self

    async def send(self, message: Message) -> None:
        """Take a message of LiteLLM's."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name.lower(), value) for name, value in message["headers"]]
            self._streams = self._status < 400 and b"text/event-stream" in dict(self._headers).get(b"content-type", b"")
        elif message["type"] == "http.response.body" and not self._over:
            self._held += message.get("body", b"")
            more = message.get("more_body", False)
            if self._streams:
                await self._pass_on_events(more)
            elif not more:
                await self._pass_on_whole()

    async def close(self) -> None:
        """LiteLLM says no more. What it has not ended is told to be broken off."""
        if self._over:
            return
        if self._streams:
            await self._pass_on_events(more=False)
        elif self._status:
            await self._pass_on_whole()

    async def refuse(self, fault: Fault) -> None:
        """Tell why there is no answer."""
        if self._over:
            return
        if self._begun and self._translation is not None:
            self._over = True
            await self._body(self._translation.broken_off(fault), more=False)
        elif not self._begun:
            await self._tell(fault.status, fault.headers(), fault.body(self._api, self.word.name))

    async def fail(self, error: Exception) -> None:
        """LiteLLM raised."""
        logging.debug("%s", type(error).__name__)
        await self.refuse(self._fault(500, b"", None))

    def _fault(self, status: int, content: bytes, retry_after: str | None) -> Fault:
        """An error in whose words it is: the endpoint's and the relay's, the door's, or LiteLLM's."""
        if self.word.refusal is not None:
            return of_the_endpoint(self.word.refusal)
        translation = self._translation
        if translation is not None and self._names is not None and status in (400, 403, 404):
            named = translation.name
            if not self._names.knows(named):
                return no_such_name(named)
        if translation is not None and status >= 500 and not self.word.asked:
            # It failed before anybody was asked, and would again.
            return Fault(400, "cannot translate this request: it has not the form of its API. Compare it with that.")
        if translation is not None and status >= 500:
            return Fault(502, "cannot tell the answer: what the weights wrote is not of the API's form. Send it again.")
        return of_litellm(status, content, retry_after)

    async def _pass_on_whole(self) -> None:
        content, headers = bytes(self._held), dict(self._headers)
        again = headers.get(b"retry-after", b"").decode() or None
        if self._status >= 400:
            await self.refuse(self._fault(self._status, content, again))
            return
        try:
            told = self._made(orjson.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError):
            told = self._fault(500, b"", None)
        if isinstance(told, Fault):
            await self.refuse(told)
        else:
            status, answer = told
            await self._tell(status, self._kept(), orjson.dumps(answer))

    def _made(self, answer: Any) -> tuple[int, Any] | Fault:
        if self._whole is not None:
            return self._whole(self._status, answer)
        if self.word.refusal is not None:
            return of_the_endpoint(self.word.refusal)
        if self.word.counted is not None:
            return 200, {"input_tokens": self.word.counted}
        return self._status, answer if self._translation is None else self._translation.whole(answer)

    async def _pass_on_events(self, more: bool) -> None:
        out = bytearray()
        while not self._over and (end := self._held.find(b"\n\n")) >= 0:
            block = bytes(self._held[:end])
            del self._held[: end + 2]
            out += self._event(block)
        if not more and not self._over:
            self._over = True
            if not self._ended:
                out += self._broken_off(None)
        if out or self._over:
            await self._begin()
            await self._body(bytes(out), more=not self._over)

    def _event(self, block: bytes) -> bytes:
        translation = self._translation
        data = b"\n".join(line[5:].lstrip() for line in block.split(b"\n") if line.startswith(b"data:"))
        if translation is None or not data:
            return block + b"\n\n" if block else b""
        if data == b"[DONE]":
            if not self._ended:
                return self._break_off(None)
            self._over = True
            return translation.done
        event: Event = orjson.loads(data)
        error = told_error(event)
        if error is not None or (self.word.refusal is not None and translation.ends(event)):
            return self._break_off(error)
        self._ended = self._ended or translation.ends(event)
        return b"".join(translation.written(each) for each in translation.event(event))

    def _break_off(self, error: Any) -> bytes:
        self._over = True
        return self._broken_off(error)

    def _broken_off(self, error: Any) -> bytes:
        if self._translation is None:
            return b""
        if self.word.refusal is not None:
            fault = of_the_endpoint(self.word.refusal)
        elif error is not None:
            fault = in_a_stream(error)
        else:
            fault = Fault(502, "cannot tell the rest of this answer: it broke off in the gateway. Send it again.")
        return self._translation.broken_off(fault)

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self._give({"type": "http.response.start", "status": self._status, "headers": self._kept()})

    async def _body(self, content: bytes, more: bool) -> None:
        await self._give({"type": "http.response.body", "body": content, "more_body": more})

    async def _tell(self, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        self._begun = self._over = True
        own = headers if any(name == b"x-request-id" for name, _ in headers) else [*headers, *self._own()]
        sized = [*own, (b"content-length", str(len(content)).encode())]
        await self._give({"type": "http.response.start", "status": status, "headers": sized})
        await self._body(content, more=False)

    def _kept(self) -> list[tuple[bytes, bytes]]:
        listed = [
            (name, value) for name, value in self._headers if name.decode() in _LET_OUT or name.startswith(_LIMITS)
        ]
        return [*listed, *self._own()]

    def _own(self) -> list[tuple[bytes, bytes]]:
        named = [(b"x-request-id", self.word.name.encode()), (b"request-id", self.word.name.encode())]
        if self.word.replica is not None:
            named.append((REPLICA_HEADER.encode(), self.word.replica.encode()))
        left_out = self._translation.left_out if self._translation is not None else ()
        if left_out:
            shown = ", ".join(name if name.isascii() and name.isprintable() else "?" for name in left_out)
            named.append((LEFT_OUT_HEADER.encode(), shown[:1000].encode()))
        return named
