"""The only client of `mlx_lm.server`, which listens on this machine's loopback.

It always streams: mlx-lm 0.32.2 notices that a client has left only when it writes, so an answer in one piece would
be generated to its end for nobody. A stream without `[DONE]` is a failure, whatever came before. mlx-lm answers 404 to
everything that goes wrong before the first token; only the death of its generation thread is its own fault. Nothing
ends an answer that takes long; who asks watches for evidence (`readiness`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from serving.configuration import ReplicaConfiguration
from serving.endpoint.answering import Event
from serving.endpoint.whole import Whole
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
                async for line in response.aiter_lines():
                    if line == "data: [DONE]":
                        return
                    event = _event(line)
                    if event is not None:
                        yield event
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UpstreamUnreachable(f"mlx-lm did not answer: {type(error).__name__} {error}") from error
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"mlx-lm did not answer: {type(error).__name__} {error}") from error
        raise UpstreamFailed("mlx-lm ended its answer before it was whole")

    async def complete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request in one piece, asked once."""
        whole = Whole()
        events = self.events(path, body)
        try:
            async for event in events:
                if not isinstance(event, str):
                    whole.add(event)
        finally:
            await events.aclose()
        return whole.answer()


def _event(line: str) -> Event | None:
    if line.startswith(":"):
        return line
    if not line.startswith("data: "):
        return None
    try:
        return json.loads(line.removeprefix("data: "))
    except json.JSONDecodeError as error:
        # What it sent is part of somebody's answer, and no business of a log.
        raise UpstreamFailed("mlx-lm sent something that is no JSON") from error


def _error(status: int, content: bytes) -> RequestRefused | UpstreamFailed:
    try:
        text = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        text = content.decode(errors="replace")[:500]
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or _DEAD in text:
        return UpstreamFailed(f"mlx-lm refused: {status} {text}")
    return RequestRefused(f"cannot answer this request: {text}")
