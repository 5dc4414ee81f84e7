"""Something that answers as LiteLLM does, and the door in front of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from serving.gateway.aside import Aside, Refusal
from serving.gateway.door import Door
from serving.gateway.entrance import Entrance
from serving.gateway.keys import Key, digest
from serving.gateway.limits import Counts
from serving.gateway.names import served_names
from tests.serving.declarations import declared

NAMES = served_names(declared(weights__0__also_called=["gpt-4o", "org/w:1"]), {"a", "b"})
KEY = {"authorization": "Bearer sk-1"}
OWN = Key(owner="lab", sha256=digest("sk-1"))
MESSAGES = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "w", "messages": MESSAGES},
    "/v1/completions": {"model": "w", "prompt": "Once"},
    "/v1/messages": {"model": "w", "messages": MESSAGES, "max_tokens": 9},
    "/v1/responses": {"model": "w", "input": "Hello"},
}
DISCLOSING = {
    "x-litellm-version": "1.109.1",
    "x-litellm-model-api-base": "http://127.0.0.1:7442/v1",
    "llm_provider-server": "uvicorn",
    "x-litellm-model-id": "w",
}
LITELLMS = (
    "litellm.BadRequestError: Hosted_vllmException - {}\n\n"
    "LiteLLM: model group 'w' failed with the error above. No fallback was attempted."
)


def letting_in(*keys: Key) -> Entrance:
    """An entrance with these keys, at which nothing was counted yet."""
    return Entrance(lambda: keys, Counts())


@dataclass
class Behind:
    """What answers in LiteLLM's place."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    events: Sequence[str] = ()
    refusal: Refusal | None = None
    raises: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    aside: Aside = field(default_factory=Aside)
    entrance: Entrance = field(default_factory=lambda: letting_in(OWN))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = (await receive())["body"] if scope["method"] == "POST" else b""
        told = {"headers": headers, "body": json.loads(body or b"null"), "key": scope.get("cidermill.key")}
        self.asked.append({"path": scope["path"], **told})
        word = self.aside.word(headers.get("x-cidermill-request"))
        word.asked, word.refusal, word.replica = self.refusal is not None, self.refusal, "a"
        if self.raises:
            raise RuntimeError("nobody thought of this")
        kind = "text/event-stream" if self.events else "application/json"
        told = {"content-type": kind, **DISCLOSING, **self.headers}
        sent = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": sent})
        for event in self.events:
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        content = b"" if self.events else json.dumps(self.body).encode()
        await send({"type": "http.response.body", "body": content, "more_body": False})


def asked(behind: Behind, method: str, path: str, headers: Mapping[str, str] = KEY, **sent: Any) -> httpx.Response:
    """What a client gets from the door before it."""
    door = Door(behind, behind.entrance, NAMES, 10_000, behind.aside)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(door)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, headers=headers, **sent)

    return asyncio.run(ask())


def error_of(response: httpx.Response) -> dict[str, Any]:
    return response.json()["error"]
