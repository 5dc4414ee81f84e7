"""The only client of `mlx_lm.server`, which listens on this machine's loopback.

It always streams: mlx-lm 0.32.2 notices that a client has left only when it writes, so an answer in one piece would
be generated to its end for nobody. A stream without `[DONE]` is a failure, whatever came before. mlx-lm answers 404 to
everything that goes wrong before the first token; only the death of its generation thread is its own fault.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from serving.configuration import ReplicaConfiguration
from serving.errors import RequestRefused, UpstreamFailed

Event = dict[str, Any] | str
"""One chunk of an answer, or a comment line that keeps the connection alive."""

_TIMEOUT = httpx.Timeout(connect=5, write=30, pool=30, read=900)
"""mlx-lm is silent while a request waits for its turn."""

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
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"mlx-lm did not answer: {type(error).__name__} {error}") from error
        raise UpstreamFailed("mlx-lm ended its answer before it was whole")

    async def complete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request in one piece, as OpenAI has it when `stream` is false."""
        whole = _Whole()
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
        raise UpstreamFailed(f"mlx-lm sent something that is no JSON: {line[:200]}") from error


def _error(status: int, content: bytes) -> RequestRefused | UpstreamFailed:
    try:
        text = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        text = content.decode(errors="replace")[:500]
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or _DEAD in text:
        return UpstreamFailed(f"mlx-lm refused: {status} {text}")
    return RequestRefused(f"cannot answer this request: {text}")


class _Whole:
    """Chunks put together."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._finish: str | None = None
        self._parts: dict[str, list[str]] = {"text": [], "content": [], "reasoning": []}
        self._tool_calls: list[dict[str, Any]] = []

    def add(self, chunk: dict[str, Any]) -> None:
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk["choices"]:
            self._last = chunk
            self._finish = choice["finish_reason"] or self._finish
            pieces = {**choice.get("delta", {}), "text": choice.get("text")}
            for name, parts in self._parts.items():
                parts.append(pieces.get(name) or "")
            for call in pieces.get("tool_calls") or ():
                self._tool_calls.append({key: value for key, value in call.items() if key != "index"})

    def answer(self) -> dict[str, Any]:
        if not self._last:
            raise UpstreamFailed("mlx-lm ended its answer without a choice")
        choice: dict[str, Any] = {"index": 0, "finish_reason": self._finish, "logprobs": None}
        chat = self._last["object"].startswith("chat")
        choice |= {"message": self._message()} if chat else {"text": "".join(self._parts["text"])}
        return {
            **self._last,
            "object": "chat.completion" if chat else "text_completion",
            "choices": [choice],
            "usage": self._usage,
        }

    def _message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._parts["content"]) or None}
        reasoning = "".join(self._parts["reasoning"])
        if reasoning:
            message["reasoning"] = reasoning
        if self._tool_calls:
            message["tool_calls"] = self._tool_calls
        return message
