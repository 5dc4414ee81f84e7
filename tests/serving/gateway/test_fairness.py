"""A key with many requests before a key with one: the gateway with the real LiteLLM, and a true endpoint beneath it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.endpoint.responses import ERRORS
from serving.gateway.keys import Key, digest
from tests.plain import PLAIN
from tests.serving.endpoint.clients import Service
from tests.serving.gateway.endpoints import served
from tests.serving.gateway.running import KEY, started
from tests.serving.speaking import USAGE, chat, said, speaking
from tests.serving.waiting import wait_until

BENS = "sk-bens-key-which-is-long-enough"
MANY = 20
HELLO = [chat(content="Hello"), chat("stop"), USAGE]


@contextmanager
def endpoint(port: int) -> Iterator[tuple[Service, int]]:
    """A replica's endpoint with one slot, on a port of its own, before what speaks as mlx-lm on `port`."""
    up: threading.Event = threading.Event()
    service = Service(port, slots=1, queue=64, wait_seconds=300)
    ready = Route("/ready", lambda _: PlainTextResponse("ready"))
    app = Starlette(routes=[ready, *service.endpoint.routes()], exception_handlers=ERRORS)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        up.set()
        await serving

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert up.wait(20)
        yield service, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def test_a_key_with_one_request_is_not_behind_all_those_of_a_key_with_many(tmp_path: Path):
    go_on = threading.Event()
    ben = Key(owner="ben", sha256=digest(BENS))

    def ask(key: str, words: str) -> int:
        body: dict[str, Any] = {"model": "cider-1", "messages": [{"role": "user", "content": words}]}
        headers = {"authorization": f"Bearer {key}"}
        return httpx.post(
            f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=120, **PLAIN
        ).status_code

    with speaking() as mlx_lm, endpoint(mlx_lm.port) as (service, port), ThreadPoolExecutor(MANY + 2) as pool:
        mlx_lm.earlier.append([go_on, *said(*HELLO)])
        mlx_lm.say(*HELLO)
        gateway = started(tmp_path, [served("a", port)], keys=[ben])
        try:
            asking = [pool.submit(ask, KEY, "one of many") for _ in range(MANY + 1)]
            wait_until(lambda: service.endpoint.report.queued == MANY, seconds=60)
            asking.append(pool.submit(ask, BENS, "the only one"))
            wait_until(lambda: service.endpoint.report.queued == MANY + 1, seconds=60)
            go_on.set()
            statuses = {each.result() for each in asking}
        finally:
            go_on.set()
            gateway.process.terminate()
            gateway.process.wait(60)

    order = [json.dumps(body) for _, body in mlx_lm.asked]
    assert statuses == {200}
    assert len(order) == MANY + 2
    # After the one that was under way, at most one of the other key's.
    assert next(place for place, body in enumerate(order) if "the only one" in body) <= 2
