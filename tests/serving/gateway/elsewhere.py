"""A server of OpenAI's API that is none of ours, over real HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from serving.gateway.configuration import ExternalBackend
from tests.serving.listening import listening
from tests.serving.speaking import USAGE, chat, said


class Elsewhere:
    """What it answers, and what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.lines = said(chat(content="Good "), chat("stop", content="day"), USAGE)
        self.status = 200
        self.error: dict[str, Any] | None = None
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []

    def declared(self, *instead_of: str) -> ExternalBackend:
        url = f"http://127.0.0.1:{self.port}/v1"
        return ExternalBackend(name="big", url=url, serves="qwen3:30b", instead_of=instead_of)


@contextmanager
def answering() -> Iterator[Elsewhere]:
    """The server, listening on a port of its own."""
    script = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.asked.append((self.path, self.headers.get("Authorization"), body))
            self.send_response(script.status)
            self.send_header("x-backend", "secret.example")
            self.end_headers()
            if script.error is not None:
                self.wfile.write(json.dumps({"error": script.error}).encode())
            for line in script.lines if script.status == 200 else ():
                self.wfile.write(f"{line}\n\n".encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as script.port:
        yield script
