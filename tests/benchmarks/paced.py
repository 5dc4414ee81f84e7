"""An endpoint that answers at a fixed pace and costs next to nothing, so that what stands before it can be measured.

    python -m tests.benchmarks.paced PORT TOKENS_PER_SECOND

It is ready at once. A relay gets each chunk with the tokens it is made of, whoever else asks gets it without.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.endpoint import relayed
from serving.rank.asked import FIELD

_ENVELOPE = {"id": "c1", "object": "chat.completion.chunk", "model": "cider-1", "created": 1}


def application(tokens_per_second: float) -> Starlette:
    """The endpoint; 0 is as fast as it can."""

    async def chat(request: Request) -> Response:
        asked = await request.json()
        pieces = _answer(asked["max_tokens"], relayed.HEADER in request.headers, tokens_per_second)
        return StreamingResponse(pieces, media_type="text/event-stream")

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready\n")

    return Starlette(
        routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/ready", ready, methods=["GET"])]
    )


async def _answer(tokens: int, private: bool, tokens_per_second: float) -> AsyncGenerator[bytes, None]:
    """One token in each chunk, each when it is due, whoever was late before."""
    clock = asyncio.get_running_loop().time
    began = clock()
    for number in range(tokens):
        if tokens_per_second:
            await asyncio.sleep(max(0, began + number / tokens_per_second - clock()))
        last = number == tokens - 1
        delta = {"role": "assistant", "content": f" {number}"}
        choice = {"index": 0, "delta": delta, "finish_reason": "length" if last else None}
        chunk = {**_ENVELOPE, "choices": [choice]} | ({FIELD: {"tokens": [number]}} if private else {})
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": tokens + 3}
    yield f"data: {json.dumps({**_ENVELOPE, 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode()


if __name__ == "__main__":
    uvicorn.run(
        application(float(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        timeout_keep_alive=600,
    )
