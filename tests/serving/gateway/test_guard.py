"""The guard is spoken to as ASGI, with an application behind it that only says what it was asked."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from serving.gateway.entrance import KEY, Entrance
from serving.gateway.guard import COUNTED, Guard
from serving.gateway.key_file import KeyFile
from serving.gateway.keys import Key, digest, written
from serving.gateway.limits import Counts

SECRET = "a-secret-that-is-long-enough"
ANNA = Key(owner="anna", sha256=digest(SECRET), names=("w",))
CHAT = "/v1/chat/completions"
POSTS = (*sorted(COUNTED), "/v1/messages/count_tokens")


class Asked:
    """One request through the guard: what came back, and what the application behind it was asked."""

    def __init__(self, entrance: Entrance, path: str, parts: Sequence[bytes], headers: dict[str, str]) -> None:
        self.sent: list[Any] = []
        self.behind: list[Any] = []
        self._parts = list(parts)
        scope = {
            "type": "http",
            "path": path,
            "method": "POST" if parts else "GET",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        asyncio.run(Guard(self._application, entrance)(scope, self._receive, self._send))

    @property
    def status(self) -> int:
        return self.sent[0]["status"] if self.sent else 0

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def json(self) -> Any:
        return json.loads(self.sent[1]["body"])

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self.behind.append((scope, (await receive()).get("body"), await receive()))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _receive(self) -> Any:
        if not self._parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._parts.pop(0), "more_body": bool(self._parts)}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


@pytest.fixture
def entrance(tmp_path: Path) -> Entrance:
    (tmp_path / "keys.json").write_text(written([ANNA]))
    return Entrance(KeyFile(tmp_path / "keys.json"), Counts())


def limited(tmp_path: Path, **limits: int) -> Entrance:
    (tmp_path / "limited.json").write_text(written([ANNA.model_copy(update=limits)]))
    return Entrance(KeyFile(tmp_path / "limited.json"), Counts())


def post(entrance: Entrance, path: str = CHAT, body: Any = None, key: str = SECRET, **headers: str) -> Asked:
    content = json.dumps({"model": "w"} if body is None else body).encode()
    shown = {"authorization": f"Bearer {key}"} if key else {}
    return Asked(entrance, path, [content], shown | headers)


def told(asked: Asked, path: str) -> tuple[int, str]:
    """Status and kind of an error, in the shape of the API of a path."""
    if path.startswith("/v1/messages"):
        assert asked.json["type"] == "error"
        assert set(asked.json["error"]) == {"type", "message"}
    else:
        assert set(asked.json["error"]) == {"type", "message", "param", "code"}
    return asked.status, asked.json["error"]["type"]


@pytest.mark.parametrize("path", POSTS)
def test_a_request_with_a_key_goes_on_as_it_is_with_its_owner_and_as_json(entrance: Entrance, path: str):
    asked = Asked(entrance, path, [b'{"model":', b' "w"}'], {"x-api-key": SECRET, "content-type": "text/plain"})
    ((scope, body, after),) = asked.behind

    assert (asked.status, scope[KEY], body, after["type"]) == (200, ANNA, b'{"model": "w"}', "http.disconnect")
    assert [value for name, value in scope["headers"] if name == b"content-type"] == [b"application/json"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("key", ["", "guessed"])
def test_without_a_known_key_nothing_goes_on(entrance: Entrance, path: str, key: str):
    asked = post(entrance, path, key=key)

    assert (told(asked, path), asked.behind) == ((401, "authentication_error"), [])
    assert asked.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [{"model": "v"}, {"model": ["w"]}, {}, [], "w", {"model": None}])
def test_a_key_for_a_name_brings_nothing_else_in(entrance: Entrance, path: str, body: Any):
    asked = post(entrance, path, body)

    assert (told(asked, path), asked.behind) == ((403, "permission_error"), [])


@pytest.mark.parametrize("content", [b"", b"model=w", b'{"model": "w"', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_names_nothing(entrance: Entrance, content: bytes):
    asked = Asked(entrance, CHAT, [content], {"x-api-key": SECRET})

    assert (asked.status, asked.behind) == (403, [])


@pytest.mark.parametrize("path", POSTS)
def test_what_is_this_labs_to_say_is_refused_by_its_name(entrance: Entrance, path: str):
    asked = post(entrance, path, {"model": "w", "extra_headers": {"x-cidermill-key": "ben"}})

    assert (told(asked, path), asked.behind) == ((400, "invalid_request_error"), [])
    assert "extra_headers" in asked.json["error"]["message"]


@pytest.mark.parametrize("path", sorted(COUNTED))
def test_over_a_limit_it_is_told_when_to_come_again(tmp_path: Path, path: str):
    entrance = limited(tmp_path, requests_per_minute=1)
    statuses = [post(entrance, path).status for _ in range(2)]
    refused = post(entrance, path)

    assert (statuses, told(refused, path)) == ([200, 429], (429, "rate_limit_error"))
    assert int(refused.headers["retry-after"]) in (59, 60)


def test_what_comes_to_no_replica_is_not_counted(tmp_path: Path):
    entrance = limited(tmp_path, requests_per_minute=1)
    statuses = [post(entrance, "/v1/messages/count_tokens").status for _ in range(3)]
    statuses += [Asked(entrance, "/v1/models", [], {"x-api-key": SECRET}).status for _ in range(3)]

    assert statuses == [200] * 6
    assert post(entrance).status == 200


def test_a_refused_request_is_not_counted(tmp_path: Path):
    entrance = limited(tmp_path, requests_per_minute=1)
    for _ in range(3):
        post(entrance, body={"model": "v"})

    assert post(entrance).status == 200


def test_the_list_of_names_is_refused_in_the_shape_of_whoever_asks(entrance: Entrance):
    asked = {
        name: Asked(entrance, "/v1/models", [], headers)
        for name, headers in {"openai": {}, "anthropic": {"anthropic-version": "2023-06-01"}}.items()
    }

    assert [each.status for each in asked.values()] == [401, 401]
    assert "param" in asked["openai"].json["error"]
    assert asked["anthropic"].json["type"] == "error"


@pytest.mark.parametrize("path", ["/health/liveliness", "/health/readiness"])
def test_whether_the_gateway_runs_is_told_to_everybody(entrance: Entrance, path: str):
    assert Asked(entrance, path, [], {}).status == 200


def test_a_client_that_goes_before_its_request_is_whole_is_answered_by_nobody(entrance: Entrance):
    asked = Asked.__new__(Asked)
    asked.sent, asked.behind = [], []
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    scope = {"type": "http", "path": CHAT, "method": "POST", "headers": [(b"x-api-key", SECRET.encode())]}
    asyncio.run(Guard(asked._application, entrance)(scope, receive, asked._send))

    assert (asked.sent, asked.behind) == ([], [])


def test_a_client_cannot_bring_the_header_by_which_endpoints_know_whose_request_it_is(entrance: Entrance):
    ((scope, *_),) = post(entrance, **{"X-Cidermill-Key": "ben"}).behind

    assert b"ben" not in dict(scope["headers"]).values()
