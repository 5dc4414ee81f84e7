"""One attempt of the relay at one endpoint: `serving.endpoint.relayed` is what it speaks to.

An endpoint that is there says something at least every two seconds, so silence is a failure here. What an endpoint says
of the request itself is the client's to have, word for word (`Refused`); what it says of its replica is not.

aiohttp is LiteLLM's own client, so it is there; it parses in C. All streams of all replicas are read in the thread that
LiteLLM needs for its own work, where httpx took five milliseconds to begin an answer and a tenth of the time after it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp

from serving.endpoint import relayed
from serving.endpoint.answering import Event
from serving.endpoint.events import lines_of, read_events
from serving.errors import UpstreamFailed, UpstreamUnreachable

SILENT_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 2.0

_PASSED_ON: Final = ("content-type", "retry-after")
_TOO_MANY: Final = 429
_STATUS: Final = {"rate_limit_error": _TOO_MANY, "invalid_request_error": 400}
"""Of errors in a stream that has begun, by their type."""


@dataclass(frozen=True)
class Refusal:
    """An endpoint's answer that is none of a replica."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def error(self) -> dict[str, Any]:
        """What it says, in OpenAI's words; empty when it says nothing of the kind."""
        return dict(_error(self.content))

    @property
    def retry_seconds(self) -> float:
        """When to come again, as it says."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isdecimal() else 1.0


class Refused(Exception):
    """The client's request is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status}")
        self.refusal = refusal


class Full(UpstreamUnreachable):
    """No more requests are taken there now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("all slots are taken, and its queue is full")
        self.refusal = refusal


class Endpoints:
    """The endpoints' client."""

    def __init__(self, token: str, silent_seconds: float = SILENT_SECONDS) -> None:
        self._headers = {"Authorization": f"Bearer {token}", relayed.HEADER: "1"}
        self._timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=silent_seconds)
        self._made: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        """Made where it is used first: it belongs to the loop that runs."""
        if self._made is None:
            # A connection that was left over may lead to a machine that has restarted since.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            jar = aiohttp.DummyCookieJar()
            self._made = aiohttp.ClientSession(
                connector=connector, headers=self._headers, timeout=self._timeout, cookie_jar=jar
            )
        return self._made

    async def events(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncGenerator[Event, None]:
        """The answer as it comes, private fields and all; closing the generator ends the request there.

        Raises Refused, and UpstreamFailed and its kind.
        """
        try:
            async with self._session.post(url, json=body, headers=headers) as response:
                await _require_answer(response)
                async with aclosing(read_events(lines_of(response.content.iter_any()), url)) as events:
                    async for event in events:
                        _require_no_error(event)
                        yield event
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UpstreamUnreachable(f"{url} does not answer: {type(error).__name__} {error}") from error
        except aiohttp.ClientError as error:
            raise UpstreamFailed(f"{url} broke off: {type(error).__name__} {error}".strip()) from error

    async def count(self, url: str, body: Mapping[str, Any]) -> int:
        """Tokens of a chat's prompt, by the endpoint's tokenizer. Raises Refused, and UpstreamFailed and its kind."""
        try:
            async with self._session.post(f"{url}/count", json=body) as response:
                await _require_answer(response)
                return int(json.loads(await response.read())["input_tokens"])
        except (aiohttp.ClientError, ValueError, KeyError) as error:
            raise UpstreamUnreachable(f"{url} does not count: {type(error).__name__} {error}") from error

    async def close(self) -> None:
        """Close it."""
        if self._made is not None:
            await self._made.close()


async def _require_answer(response: aiohttp.ClientResponse) -> None:
    if not response.ok:
        content = await response.read()
        passed = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
        raise _fault(Refusal(response.status, content, passed), _error(content))


def _require_no_error(event: Event) -> None:
    if isinstance(event, str) or "error" not in event:
        return
    fault = event["error"]
    content = json.dumps(event, ensure_ascii=False).encode()
    status = _STATUS.get(fault.get("type"), 503 if fault.get("code") == "unavailable" else 502)
    raise _fault(Refusal(status, content, {"content-type": "application/json"}), fault)


def _fault(refusal: Refusal, error: Mapping[str, Any]) -> Exception:
    """What an endpoint's error means to a relay."""
    text, code = str(error.get("message", f"it answers {refusal.status}")), error.get("code")
    if code == relayed.NOT_READY or refusal.status in (401, 403):
        # Who does not know our token now belongs to another lab, or to what this one was before.
        return UpstreamUnreachable(text)
    if refusal.status == _TOO_MANY:
        return Full(refusal)
    if code == relayed.FELL or (refusal.status >= 500 and code != "unavailable"):
        return UpstreamFailed(text)
    return Refused(refusal)


def _error(content: bytes) -> Mapping[str, Any]:
    try:
        error = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return cast("Mapping[str, Any]", error) if isinstance(error, dict) else {}
