"""Reading a request's body: never more than it may have, and no longer than its bytes keep coming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from starlette.requests import Request

from serving.errors import RequestRefused

SILENCE_SECONDS: Final = 30.0
"""Until a body is given up that has stopped coming."""

_BYTES_PER_SECOND: Final = 1000
"""Slower than this is no client but somebody who wants connections kept busy."""


def allowed_seconds(taken: float, received: int, silence: float = SILENCE_SECONDS) -> float:
    """How long the next part of a body may take, `taken` seconds after the first."""
    return min(silence, silence + received / _BYTES_PER_SECOND - taken)


async def read_body(request: Request, limit: int, silence: float = SILENCE_SECONDS) -> bytes:
    """The whole body. Raises RequestRefused, and starlette's ClientDisconnect."""
    _require_short(_declared(request), limit)  # who declares too much is not waited for
    clock = asyncio.get_running_loop().time
    content, began = bytearray(), clock()
    async with aclosing(request.stream()) as parts:
        while True:
            try:
                async with asyncio.timeout(allowed_seconds(clock() - began, len(content), silence)):
                    part = await _next(parts)
            except TimeoutError as error:
                raise RequestRefused(
                    f"cannot read the request: {len(content)} bytes came, and no more in time. Send it again, whole.",
                    status=408,
                ) from error
            if part is None:
                return bytes(content)
            content += part
            _require_short(len(content), limit)


def _declared(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else 0


def _require_short(size: int, limit: int) -> None:
    if size > limit:
        raise RequestRefused(f"cannot read the request: it has more than {limit} bytes. Shorten it.", status=413)


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)
