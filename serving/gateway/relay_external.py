"""Backends that are none of ours: servers of OpenAI's API that answer by their own name, or when no replica can.

They know nothing of our private fields, so an answer of theirs cannot be continued, and none that a replica has begun
is ever handed to them. They are told the request as the client made it, with their own name for what they serve, and
nothing of who asks. What they say of a request that nobody else could take is the client's to have; what they say of a
key is not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

import httpx

from serving.endpoint.answering import Event
from serving.endpoint.events import read_events
from serving.errors import UpstreamFailed, UpstreamUnreachable
from serving.gateway.configuration import ExternalBackend
from serving.gateway.relay_upstream import Refusal, Refused
from serving.rank.asked import FIELD

PREFIX: Final = "external:"
"""Before its name, wherever a replica's name would stand."""
BODY_BYTES: Final = 32 * 2**20
"""Of a request; what one of them takes is for it to say."""
DOUBT_SECONDS: Final = 5.0
"""How long one that failed is left alone. Nobody looks at it in between: a look would cost a cloud's money."""

_TIMEOUT: Final = httpx.Timeout(600, connect=5)
"""Some read a model from disk before they say a word, and say nothing meanwhile. Longer than that is a failure."""

_FAULT_OF_THE_REQUEST: Final = (400, 413, 422, 429)
_PASSED_ON: Final = ("content-type", "retry-after")


class Backend:
    """One of them."""

    def __init__(self, told: ExternalBackend, key: str | None = None) -> None:
        self.told = told
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._trusted_at = 0.0
        self.problem = ""
        """Why it failed last."""

    @property
    def name(self) -> str:
        """As it is told to clients."""
        return f"{PREFIX}{self.told.name}"

    def is_usable(self, now: float) -> bool:
        """Whether it has not failed a moment ago."""
        return now >= self._trusted_at

    def doubt(self, now: float, problem: str) -> None:
        """It has failed a request."""
        self._trusted_at = now + DOUBT_SECONDS
        self.problem = problem
        logging.warning("External backend %s failed a request: %s", self.told.name, problem)

    async def events(
        self, client: httpx.AsyncClient, path: str, body: Mapping[str, Any], *, alone: bool
    ) -> AsyncGenerator[Event, None]:
        """The answer as it comes, under the name that was asked for. `alone`: nobody else could answer instead.

        Raises Refused when it is alone and the request is at fault; UpstreamFailed and its kind.
        """
        asked = {name: value for name, value in body.items() if name != FIELD} | {"model": self.told.serves}
        url = f"{self.told.url}{path.removeprefix('/v1')}"
        try:
            async with client.stream("POST", url, json=asked, headers=self._headers) as response:
                if response.is_error:
                    raise self._fault(response, await response.aread(), alone)
                async with aclosing(read_events(response.aiter_lines(), self.name)) as events:
                    async for event in events:
                        yield event if isinstance(event, str) else self._ours(event, body.get("model"))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UpstreamUnreachable(f"{self.name} does not answer: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"{self.name} broke off: {type(error).__name__}") from error

    def _ours(self, event: Any, model: Any) -> dict[str, Any]:
        chunk = cast("dict[str, Any]", event) if isinstance(event, dict) else {}
        if not isinstance(chunk.get("choices"), list):
            raise UpstreamFailed(f"{self.name} sent something else than a chunk of an answer")
        return {name: value for name, value in chunk.items() if name != FIELD} | {"model": model}

    def _fault(self, response: httpx.Response, content: bytes, alone: bool) -> Exception:
        if alone and response.status_code in _FAULT_OF_THE_REQUEST and _is_error(content):
            passed = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
            return Refused(Refusal(response.status_code, content, passed))
        return UpstreamUnreachable(f"{self.name} answers {response.status_code}")


class Backends:
    """All that were declared, with the keys of those that ask for one, by their names."""

    def __init__(self, told: Iterable[ExternalBackend] = (), keys: Mapping[str, str] | None = None) -> None:
        self._all = tuple(Backend(each, (keys or {}).get(each.name)) for each in told)
        self.client = httpx.AsyncClient(
            timeout=_TIMEOUT, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0), trust_env=False
        )

    @property
    def body_bytes(self) -> int:
        """The most that they take of a request's body, as far as we know."""
        return BODY_BYTES if self._all else 0

    def answering(self, name: object) -> Sequence[Backend]:
        """Those that may answer for a name: the one that is called so, or those in place of weights."""
        return [each for each in self._all if name in (_own_name(each), *each.told.instead_of)]

    async def close(self) -> None:
        """Close the client."""
        await self.client.aclose()


def first_usable(backends: Collection[Backend], now: float) -> Backend | None:
    """The first in the order of their declaration that has not just failed."""
    return next((each for each in backends if each.is_usable(now)), None)


def _own_name(backend: Backend) -> str | None:
    return None if backend.told.instead_of else backend.told.name


def _is_error(content: bytes) -> bool:
    """Whether it is an error in OpenAI's shape, which clients can read."""
    try:
        return isinstance(json.loads(content)["error"], dict)
    except (ValueError, KeyError, TypeError):
        return False
