"""Endpoints that say what a test wants, over real HTTP on loopback, and the relay before them with its clients."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from starlette.applications import Starlette

from serving.api import GENERATION_HEADER, WEIGHTS_HEADER
from serving.gateway.aside import Aside
from serving.gateway.configuration import ServedReplica
from serving.gateway.relay import Beside, application
from serving.gateway.relay_replicas import Known, Replicas, Times
from serving.gateway.relay_upstream import Endpoints
from tests.serving.endpoint.clients import CHAT, HELLO, Client
from tests.serving.listening import listening
from tests.serving.speaking import USAGE, chat, made_of, said

TOKEN = "sesame"
STREAM = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
SOON = Times(period=0.02, look=10, doubt=0.05, unreachable=0.05, unready=0.1)

HE, LLO, STOP = made_of(chat(content="He"), 1), made_of(chat(content="llo"), 2), made_of(chat("stop"), 3)
HELLO_WHOLE = said(HE, LLO, STOP, USAGE)


class Reset:
    """In the place of a line: the connection is reset, as when a process is killed."""


class Frozen:
    """In the place of a line: from here on nothing is said any more, nor to looks, until the test is over."""


Line = str | threading.Event | Reset | Frozen | float
"""A number is for how many seconds nothing comes."""

NOT_READY = {"message": "it forms", "type": "server_error", "param": None, "code": "replica_not_ready"}


@dataclass
class Answer:
    """One answer of an endpoint."""

    lines: list[Line] = field(default_factory=list)
    status: int = 200
    error: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Scripted:
    """An endpoint: what it answers, and what it was asked."""

    name: str
    port: int = 0
    ready: bool = True
    earlier: list[Answer] = field(default_factory=list)
    """What the first requests get, one after another; the later ones get an answer of "Hello"."""
    always: Answer | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    client_left: threading.Event = field(default_factory=threading.Event)
    frozen: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    looks: int = 0
    generation: int = 1
    weights: str = "d1"
    down: bool = False
    """It resets every connection, also those that are under way."""
    draining: bool = False
    """It takes nothing new, and goes on with what it has."""
    replica: dict[str, Any] = field(default_factory=lambda: {"state": "ready", "reason": ""})
    """What GET /state says of the replica."""
    in_flight: int = 0
    """Requests of others that are under way."""
    beside: int = 0
    """Requests of others that end with each of ours."""

    @property
    def state(self) -> dict[str, Any]:
        """What GET /state says."""
        counted = {"answered": len(self.asked) * (1 + self.beside)}
        return {"replica": self.replica, "endpoint": {"in_flight": self.in_flight, "queued": 0, "requests": counted}}

    def afresh(self) -> Scripted:
        """The same, with nothing planned and nothing asked."""
        self.ready, self.always, self.down, self.draining, self.weights = True, None, False, False, "d1"
        self.earlier, self.asked, self.headers = [], [], []
        return self

    def plan(self, *lines: Line) -> None:
        """The answer to the next request that none is planned for."""
        self.earlier.append(Answer(list(lines)))

    def refuse(self, status: int, error: Mapping[str, Any], **headers: str) -> None:
        """Refuse that request."""
        self.earlier.append(Answer(status=status, error=error, headers=headers))


def served(name: str, port: int, **changes: Any) -> ServedReplica:
    told = ServedReplica(
        name=name,
        weights="cider-1",
        url=f"http://127.0.0.1:{port}",
        slots=4,
        context_tokens=2048,
        wait_seconds=30,
        body_bytes=100_000,
        kept_prompts=4,
    )
    return told.model_copy(update=changes)


@contextmanager
def endpoint(name: str, port: int = 0, ready: bool = True) -> Iterator[Scripted]:
    """An endpoint, listening on a port of its own unless one is given."""
    script = Scripted(name, ready=ready)
    with listening(_Server(port, script)) as script.port:
        try:
            yield script
        finally:
            script.over.set()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.server.script.frozen:
            self.server.script.over.wait(20)
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        self._be_there()
        if self.path == "/state":
            self._tell_state()
            return
        self.server.script.looks += 1
        self.send_response(200 if self.server.script.ready and not self.server.script.draining else 503)
        self.send_header(GENERATION_HEADER, str(self.server.script.generation))
        self.send_header(WEIGHTS_HEADER, self.server.script.weights)
        self.end_headers()
        self.wfile.write(b"ready\n" if self.server.script.ready else b"replica is forming")

    def _tell_state(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.script.state).encode())

    def do_POST(self) -> None:
        if self.server.script.frozen:
            self.server.script.over.wait(20)
        self._be_there()
        self.server.script.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.script.headers.append({name.lower(): value for name, value in self.headers.items()})
        answer = self._answer()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if answer.error is not None:
            self.wfile.write(json.dumps({"error": answer.error}).encode())
        try:
            for line in answer.lines:
                self._say(line)
        except (BrokenPipeError, ConnectionResetError):
            self.server.script.client_left.set()

    def _answer(self) -> Answer:
        script = self.server.script
        if script.draining:
            return Answer(status=503, error=NOT_READY)
        return script.earlier.pop(0) if script.earlier else script.always or Answer([*HELLO_WHOLE])

    def _be_there(self) -> None:
        if self.server.script.down:
            self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise BrokenPipeError

    def _say(self, line: Line) -> None:
        self._be_there()
        if isinstance(line, float):
            self.server.script.over.wait(line)
        elif isinstance(line, threading.Event):
            while not line.wait(0.02):
                self.wfile.write(b": alive\n\n")
        elif isinstance(line, Frozen):
            self.server.script.frozen = True
            self.server.script.over.wait(20)
        elif isinstance(line, Reset):
            self._reset()
        else:
            self.wfile.write(f"{line}\n\n".encode())

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.server.script.client_left.set()

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.server.script.client_left.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, port: int, script: Scripted) -> None:
        self.script = script
        super().__init__(("127.0.0.1", port), _Handler)

    def shutdown_request(self, request: Any) -> None:
        if request.fileno() >= 0:
            super().shutdown_request(request)


class Relaying:
    """The relay under test, and its clients."""

    def __init__(self, app: Starlette, replicas: Replicas) -> None:
        self.replicas = replicas
        self._app = app

    def ask(self, body: Mapping[str, Any] | bytes, path: str = CHAT, **headers: str) -> Client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Client(self._app, "POST", path, content, {"authorization": f"Bearer {TOKEN}", **headers})

    def known(self, name: str) -> Known:
        (known,) = (each for each in self.replicas.known if each.served.name == name)
        return known

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110 - what is looked at has no event
                await asyncio.sleep(0.002)


@asynccontextmanager
async def relaying(
    *replicas: ServedReplica, silent_seconds: float = 5, times: Times = SOON, aside: Aside | None = None
) -> AsyncGenerator[Relaying, None]:
    """The relay over these replicas, all looked at once."""
    all_of_them = Replicas(replicas, TOKEN, times)
    app = application(all_of_them, Endpoints(TOKEN, silent_seconds), TOKEN, Beside(aside or Aside()))
    async with app.router.lifespan_context(app):
        relaying = Relaying(app, all_of_them)
        await relaying.until(lambda: all(each.seen.at for each in all_of_them.known))
        yield relaying
