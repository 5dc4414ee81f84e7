"""Clients of an endpoint in this process, and a replica whose state the test decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.types import Message

from serving.api import RankReport, ReplicaState, StateName
from serving.endpoint.counting import Counting, Tokenizer
from serving.endpoint.readiness import Times
from serving.endpoint.responses import ERRORS
from serving.endpoint.routes import Endpoint
from serving.endpoint.upstream import Upstream
from serving.rank.status import Tick
from tests.serving.replicas import replica
from tests.serving.speaking import Script
from tests.weights import PATH

CHAT = "/v1/chat/completions"
HELLO = {"model": "cider-1", "messages": [{"role": "user", "content": "Hello"}]}
STREAM = HELLO | {"stream": True}
SOON = Times(idle=0.02, second_look=0.02, look=0.01)


@cache
def tokenizer() -> Future[Tokenizer]:
    """That of the test weights, read once: it takes seconds."""
    read: Future[Tokenizer] = Future()
    read.set_result(Tokenizer(PATH))
    return read


class Conducted:
    """A replica as its conductor would tell of it."""

    def __init__(self, state: StateName = "ready", generation: int = 1) -> None:
        self._event = asyncio.Event()
        self.now = ReplicaState(
            name="a", state=state, reason="", generation=generation, restarts=0, ranks={"mac-1": None}
        )

    def become(self, state: StateName, generation: int | None = None, reason: str = "") -> None:
        self._tell(state=state, generation=generation or self.now.generation, reason=reason)

    def tick(self, steps: int, activity: Any) -> None:
        rank = RankReport(generation=self.now.generation, living=True, tick=Tick(steps, steps, activity))
        self._tell(ranks={"mac-1": rank})

    async def changed(self) -> None:
        await self._event.wait()

    def _tell(self, **changes: Any) -> None:
        self.now = self.now.model_copy(update=changes)
        self._event.set()
        self._event = asyncio.Event()


class Service:
    """An endpoint, its replica's state, and its clients."""

    def __init__(self, port: int, state: StateName = "ready", times: Times = SOON, **changes: Any) -> None:
        told = replica(**{"rank_port": port, "weights_directory": str(PATH), **changes})
        self.replica = Conducted(state)
        counting = Counting(told, tokenizer())
        self.endpoint = Endpoint(told, lambda: self.replica.now, self.replica.changed, Upstream(told), times, counting)
        self.app = Starlette(routes=self.endpoint.routes(), exception_handlers=ERRORS)

    def ask(self, body: Mapping[str, Any] | bytes, path: str = CHAT, **headers: str) -> Client:
        return Client(self.app, "POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    def get(self, path: str, method: str = "GET") -> Client:
        return Client(self.app, method, path, b"", {})

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110 - what is looked at has no event
                await asyncio.sleep(0.002)


class Client:
    """One request, under way."""

    def __init__(self, app: Starlette, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = b""
        self._task = asyncio.create_task(app(self._scope(method, path, headers), self._messages.get, self._take))

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def end(self) -> None:
        """Cancel what answers, as uvicorn does when its process is told to end."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def over(self) -> Client:
        async with asyncio.timeout(20):
            await self._task
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def chunks(self) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in self.lines if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    @property
    def lines(self) -> list[str]:
        return [line for line in self.content.decode().split("\n") if line]

    @property
    def text(self) -> str:
        chunks = [chunk for chunk in self.chunks if chunk != "[DONE]"]
        pieces = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]
        return "".join(piece.get("content", "") for piece in pieces)

    def _scope(self, method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        return {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "query_string": b"",
        }

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.content += message.get("body", b"")


def served(script: Script, play: Callable[[Service], Coroutine[Any, Any, None]], **changes: Any) -> None:
    """Play with an endpoint before what speaks as mlx-lm."""

    async def run() -> None:
        await play(Service(script.port, **changes))

    asyncio.run(run())


def answered(script: Script, body: Any, path: str = CHAT, **changes: Any) -> Client:
    """The client that asked it, once its answer is over."""

    async def ask() -> Client:
        return await Service(script.port, **changes).ask(body, path).over()

    return asyncio.run(ask())
