"""A hub on loopback that speaks what huggingface_hub asks, and what can go wrong with one.

The answers have the shape of the Hugging Face Hub's (seen in 2026): `/api/models/REPO/revision/REV`,
`/api/models/REPO/tree/REV`, and `/REPO/resolve/REV/FILE`, which for large files is a redirect to where the bytes lie,
with `X-Linked-Etag`, `X-Linked-Size` and `X-Repo-Commit`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import unquote, urlsplit

REPOSITORY, COMMIT = "orchard/cider", "c0ffee" * 6 + "abcd"


@dataclass
class Hub:
    """One repository at one commit; `large` are kept in LFS, `small` in git."""

    large: dict[str, bytes]
    small: dict[str, bytes]
    token: str | None = None
    cut_at: dict[str, list[int]] = field(default_factory=dict)
    """By file: after so many bytes of one answer the connection ends, once for each number."""
    wrong: dict[str, int] = field(default_factory=dict)
    """By file: so many answers have a byte that is not right."""
    without_ranges: bool = False
    served: Counter[str] = field(default_factory=Counter)
    """Bytes sent, by file."""
    asked: list[str] = field(default_factory=list)
    told_the_store: list[str] = field(default_factory=list)
    """What was shown as permission where the bytes lie, which is another host."""
    endpoint: str = ""
    lock: Lock = field(default_factory=Lock)

    @property
    def files(self) -> dict[str, bytes]:
        return {**self.small, **self.large}

    def of_large(self) -> int:
        return sum(self.served[name] for name in self.large)


@contextmanager
def serving(hub: Hub, address: str = "127.0.0.1") -> Iterator[Hub]:
    """The hub at an address of its own, until the end of the block."""

    class Handler(_Handler):
        at = hub

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://{address}:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    at: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.at.asked.append(f"{self.command} {path}")
        is_stored = path.startswith("/stored/")
        if not is_stored and self.at.token and self.headers.get("Authorization") != f"Bearer {self.at.token}":
            self._send(401, b'{"error": "no"}', {"X-Error-Code": "GatedRepo", "X-Error-Message": "needs a token"})
        elif is_stored:
            self.at.told_the_store.append(self.headers.get("Authorization") or "")
            self._file(path.removeprefix("/stored/"), {}, with_body=with_body)
        elif match := re.fullmatch(rf"/api/models/{REPOSITORY}/revision/(.+)", path):
            self._json({"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.at.files]})
        elif match := re.fullmatch(rf"/api/models/{REPOSITORY}/tree/(.+)", path):
            self._json(
                [*map(self._entry, self.at.files), {"type": "directory", "path": "original", "oid": "0", "size": 0}]
            )
        elif match := re.fullmatch(rf"/{REPOSITORY}/resolve/{COMMIT}/(.+)", path):
            self._resolved(match[1], with_body=with_body)
        else:
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    def _entry(self, name: str) -> Mapping[str, object]:
        data = self.at.files[name]
        blob = hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()  # noqa: S324 - git's own
        entry = {"type": "file", "path": name, "size": len(data), "oid": blob}
        if name not in self.at.large:
            return entry
        return entry | {"lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}

    def _resolved(self, name: str, *, with_body: bool) -> None:
        if name not in self.at.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif name in self.at.small:
            data = self.at.small[name]
            blob = hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()  # noqa: S324 - git's own
            self._file(name, {"X-Repo-Commit": COMMIT, "ETag": f'"{blob}"'}, with_body=with_body)
        else:
            data = self.at.large[name]
            linked = {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X-Linked-Size": str(len(data)),
                # Another host, as a hub's store is.
                "Location": f"{self.at.endpoint.replace('127.0.0.1', 'localhost')}/stored/{name}",
            }
            self._send(302, b"", linked)

    def _file(self, name: str, headers: Mapping[str, str], *, with_body: bool) -> None:
        data = self.at.files[name]
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(begin[1]) if begin and not self.at.without_ranges else 0
        with self.at.lock:
            cut = self.at.cut_at[name].pop(0) if self.at.cut_at.get(name) and with_body else None
            is_wrong = with_body and self.at.wrong.get(name, 0) > 0
            if is_wrong:
                self.at.wrong[name] -= 1
        body = data[first:]
        if is_wrong:
            body = bytes([body[0] ^ 1]) + body[1:]
        ranged = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"} if first else {}
        self.send_response(206 if first else 200)
        for key, value in {**headers, **ranged, "Content-Length": str(len(body)), "Accept-Ranges": "bytes"}.items():
            self.send_header(key, value)
        self.end_headers()
        if not with_body:
            return
        sent = body if cut is None else body[:cut]
        with self.at.lock:
            self.at.served[name] += len(sent)
        self.wfile.write(sent)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)

    def _json(self, what: object) -> None:
        self._send(200, json.dumps(what).encode(), {"Content-Type": "application/json"})

    def _send(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
