"""Between a client and the gateway: hands everything on as it comes, and keeps what was asked and answered.

It is also what clients are told to use as their proxy to the rest of the world: that it refuses, and it keeps where to.
A client that asks no proxy is not seen.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from tests.serving.listening import listening

_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection", "upgrade", "te"}
_SECONDS: Final = 900
_RESULTS: Final = {"tool_result", "function_call_output", "custom_tool_call_output"}


@dataclass
class Exchange:
    """One request and its answer."""

    method: str
    path: str
    body: bytes
    status: int = 0
    kind: str = ""
    """The answer's content type."""
    answer: bytes = b""
    cut: str = ""
    """Why the answer came to no end; empty when it did."""

    @cached_property
    def asked(self) -> dict[str, Any]:
        """The body, as far as it is a JSON object."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    @property
    def is_a_conversation(self) -> bool:
        """Whether something was asked of the weights."""
        return self.method == "POST" and "count_tokens" not in self.path

    @property
    def streamed(self) -> bool:
        """Whether it was asked for in pieces, and came so."""
        return bool(self.asked.get("stream")) and "event-stream" in self.kind

    @property
    def tools(self) -> int:
        """How many were offered."""
        return len(self.asked.get("tools") or ())

    @property
    def brings_a_result(self) -> bool:
        """Whether a tool's result is among what was asked, in any of the APIs' shapes."""
        items = [*_list(self.asked.get("messages")), *_list(self.asked.get("input"))]
        parts = [part for item in items for part in _list(item.get("content"))]
        return any(item.get("role") == "tool" for item in items) or any(
            part.get("type") in _RESULTS for part in (*items, *parts)
        )


@dataclass
class Record:
    """Everything that a client did."""

    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Addresses that are not the gateway."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Of the door that clients are given."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def recording(url: str) -> Iterator[Record]:
    """What clients of this gateway do, at a door of its own, until the end."""
    record, gateway = Record(), urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "://" in self.path:
                return self._refuse()
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            exchange = Exchange(self.command, self.path, body)
            with record.lock:
                record.exchanges.append(exchange)
            return self._hand_on(exchange)

        do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the base class's names

        def do_CONNECT(self) -> None:
            self._refuse()

        def _refuse(self) -> None:
            with record.lock:
                record.elsewhere.append(self.path)
            self.send_error(403, "nowhere but to the gateway")

        def _hand_on(self, exchange: Exchange) -> None:
            connection = HTTPConnection(gateway.hostname or "", gateway.port or 80, timeout=_SECONDS)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            try:
                connection.request(exchange.method, exchange.path, exchange.body or None, headers)
                answer = connection.getresponse()
                exchange.status, exchange.kind = answer.status, answer.getheader("content-type", "")
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("connection", "close")
                self.end_headers()
                while piece := answer.read1(65_536):
                    exchange.answer += piece
                    self.wfile.write(piece)
            except (OSError, HTTPException) as error:
                exchange.cut = f"{type(error).__name__}: {error}"
            finally:
                connection.close()
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as record.port:
        yield record


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
