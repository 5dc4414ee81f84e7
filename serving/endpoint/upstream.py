"""The only client of `mlx_lm.server`, which listens on this machine's loopback.

It always streams: mlx-lm 0.32.2 notices that a client has left only when it writes, so an answer in one piece would
be generated to its end for nobody. A stream without `[DONE]` is a failure, whatever came before. mlx-lm answers 404 to
everything that goes wrong before the first token; only the death of its generation thread is its own fault. Nothing
ends an answer that takes long; who asks watches for evidence (`readiness`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import httpx

from serving.configuration import ReplicaConfiguration
from serving.endpoint.answering import Event
from serving.endpoint.events import read_events
from serving.endpoint.whole import collected
from serving.errors import RequestRefused, UpstreamFailed, UpstreamUnreachable

_TIMEOUT = httpx.Timeout(None, connect=10)
"""Connecting is done by the kernel, however busy or stuck mlx-lm is."""

_DEAD = "generation thread died"


class Upstream:
    """mlx-lm's server of one replica."""

    def __init__(self, replica: ReplicaConfiguration) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{replica.rank_port}",
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """The answer to a request as it comes; closing the generator ends the request upstream.

        Raises RequestRefused before the first event, UpstreamFailed before or between events.
        """
        asked = {**body, "model": "default_model", "stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self._client.stream("POST", path, json=asked) as response:
                if response.is_error:
                    raise _error(response.status_code, await response.aread())
                async with aclosing(read_events(response.aiter_lines(), "mlx-lm")) as events:
                    async for event in events:
                        yield event
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UpstreamUnreachable(f"mlx-lm did not answer: {type(error).__name__} {error}") from error
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"mlx-lm did not answer: {type(error).__name__} {error}") from error

    async def complete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request in one piece, asked once."""
        return await collected(self.events(path, body))


def _error(status: int, content: bytes) -> RequestRefused | UpstreamFailed:
    try:
        text = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        text = content.decode(errors="replace")[:500]
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or _DEAD in text:
        return UpstreamFailed(f"mlx-lm refused: {status} {text}")
    return RequestRefused(f"cannot answer this request: {text}")
