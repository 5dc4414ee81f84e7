"""Speaks as mlx-lm's server does: what a test wants said, over real HTTP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving.listening import listening


@dataclass
class Script:
    """What the server answers, and what it was asked."""

    lines: list[str | threading.Event] = field(default_factory=list)
    """An event in between is waited for."""
    earlier: list[list[str | threading.Event]] = field(default_factory=list)
    """What the first requests get instead of `lines`, one after another."""
    status: int = 200
    error: str = ""
    endless: bool = False
    """Repeat the last line until the client goes."""
    port: int = 0
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    client_left: threading.Event = field(default_factory=threading.Event)

    def say(self, *chunks: dict[str, Any], done: bool = True) -> None:
        """Answer with these chunks."""
        self.lines = said(*chunks, done=done)

    def break_off(self, *chunks: dict[str, Any]) -> None:
        """Answer the next request that nothing is planned for with these chunks, and then no more."""
        self.earlier.append(said(*chunks, done=False))


def said(*chunks: dict[str, Any], done: bool = True) -> list[str | threading.Event]:
    """Chunks as lines of a stream."""
    return [*(f"data: {json.dumps(chunk)}" for chunk in chunks), *(["data: [DONE]"] if done else [])]


def made_of(chunk: dict[str, Any], *tokens: int) -> dict[str, Any]:
    """A chunk as rank 0 has it: with the tokens it is made of."""
    return {**chunk, "cidermill": {"tokens": list(tokens)}}


def chat(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a chat, as mlx-lm makes it."""
    choice = {"index": 0, "finish_reason": finish, "delta": {"role": "assistant", **delta}}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "default_model",
        "created": 1,
        "choices": [choice],
    }


def text(piece: str, finish: str | None = None) -> dict[str, Any]:
    """A chunk of a completion."""
    choice = {"index": 0, "finish_reason": finish, "text": piece}
    return {"id": "c1", "object": "text_completion", "model": "default_model", "created": 1, "choices": [choice]}


USAGE = {
    "id": "c1",
    "object": "chat.completion",
    "model": "default_model",
    "created": 1,
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


@contextmanager
def speaking(port: int = 0) -> Iterator[Script]:
    """The server, listening on a port of its own unless one is given."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.asked.append((self.path, body))
            lines = script.earlier.pop(0) if script.earlier else script.lines
            self.send_response(script.status)
            self.end_headers()
            try:
                self.wfile.write(json.dumps({"error": script.error}).encode() if script.error else b"")
                for line in lines:
                    if isinstance(line, threading.Event):
                        line.wait(20)
                    else:
                        self.wfile.write(f"{line}\n\n".encode())
                while script.endless:
                    self.wfile.write(f"{script.lines[-1]}\n\n".encode())
            except (BrokenPipeError, ConnectionResetError):
                script.client_left.set()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with listening(ThreadingHTTPServer(("127.0.0.1", port), Handler)) as script.port:
        yield script
