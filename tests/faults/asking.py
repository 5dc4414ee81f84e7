"""One streamed request, as an ordinary client makes it, and everything its client saw."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.records import Door, Heard, Request, ending

QUESTIONS = ("Count to thirty.", "What can you do?")
"""One long and one short: a fault should strike while answers are under way, and others are about to begin."""

PING = "Ping"
CHAT = "/chat/completions"


@dataclass(frozen=True)
class Doorway:
    """Where a client goes, and with which key."""

    door: Door
    url: str
    key: str

    def client(self, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.AsyncClient:
        """A client of its own connections, each used once: an old one says nothing about now."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}", **(headers or {})},
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            **{"timeout": None, **options},
        )


def greedy(question: str, **more: Any) -> dict[str, Any]:
    """A chat whose answer leaves nothing to chance."""
    asked = {"model": "cider-1", "messages": [{"role": "user", "content": question}], "temperature": 0}
    return {**asked, "max_tokens": 400, "stream": True, **more}


async def ask(
    http: httpx.AsyncClient,
    door: Door,
    body: Mapping[str, Any],
    needed: str,
    deadline: float,
    *,
    path: str = CHAT,
    leaves_after: int | None = None,
) -> Request:
    """Ask, and hear the answer out, until the deadline; or leave after so many pieces."""
    heard, pieces, began = Heard(), list[float](), time.monotonic()
    try:
        async with asyncio.timeout(deadline):
            await _hear(http, path, body, heard, pieces, leaves_after)
    except TimeoutError:
        heard.gave_up = True
    except httpx.TransportError as error:
        heard.disconnected = True
        heard.error = heard.error or f"{type(error).__name__} {error}".strip()
    end = ending(heard, needed)
    said = "" if end in ("answered", "left") else _said(heard, end)
    return Request(door, began, time.monotonic(), end, tuple(pieces), said)


async def answer(http: httpx.AsyncClient, body: Mapping[str, Any], deadline: float, path: str = CHAT) -> str:
    """The whole answer in a lab where all is well. Raises RuntimeError when it is none."""
    heard = Heard()
    async with asyncio.timeout(deadline):
        await _hear(http, path, body, heard, [])
    if heard.error or not heard.finished:
        raise RuntimeError(f"cannot get an answer to {body} before any fault: {heard.status} {heard.error}")
    return heard.text.strip()


async def _hear(
    http: httpx.AsyncClient,
    path: str,
    body: Mapping[str, Any],
    heard: Heard,
    pieces: list[float],
    leaves_after: int | None = None,
) -> None:
    async with http.stream("POST", path, json=dict(body)) as response:
        heard.status = response.status_code
        if response.status_code != 200:
            heard.error = (await response.aread()).decode(errors="replace")
        elif not body.get("stream"):
            _take((await response.aread()).decode(), heard, pieces)
            heard.finished = True
        else:
            async for line in response.aiter_lines():
                if leaves_after is not None and len(pieces) >= leaves_after:
                    heard.left = True
                    return
                if line.startswith("data: "):
                    _take(line.removeprefix("data: "), heard, pieces)


def _take(data: str, heard: Heard, pieces: list[float]) -> None:
    if data == "[DONE]":
        heard.finished = True
        return
    event = json.loads(data)
    if "error" in event:
        heard.error = json.dumps(event["error"])
    for choice in event.get("choices", ()):
        text = _text(choice)
        if text:
            heard.text += text
            pieces.append(time.monotonic())


def _text(choice: Mapping[str, Any]) -> str:
    """What a choice adds, of a chat or a text, in a piece or whole; calls of tools as they are written."""
    message = choice.get("delta") or choice.get("message") or {}
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    called = "".join(f"{call.get('name') or ''}{call.get('arguments') or ''}" for call in calls)
    return (choice.get("text") or "") + (message.get("content") or "") + called


def _said(heard: Heard, end: str) -> str:
    text = f"; its text: {heard.text!r}" if end == "altered" else ""
    status = "" if heard.status in (200, None) else f"{heard.status} "
    return f"{status}{heard.error}{text}"[:400]
