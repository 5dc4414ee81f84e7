"""The APIs that the gateway speaks: their paths, and what an error looks like in each.

OpenAI's chat, completions and responses share the shape of a refusal; in a stream that has begun each has its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Api = Literal["chat", "text", "responses", "messages"]


@dataclass(frozen=True)
class Route:
    """What may be asked at a path."""

    method: Literal["GET", "POST"]
    api: Api | None = None
    """Whose requests and errors these are; None where it depends on the client."""
    is_open: bool = False
    """Needs no key: it tells whether the gateway runs, and nothing of what it serves."""


MODELS: Final = "/v1/models"
COUNT: Final = "/v1/messages/count_tokens"
MESSAGES: Final = "/v1/messages"
ROUTES: Final[Mapping[str, Route]] = {
    "/v1/chat/completions": Route("POST", "chat"),
    "/v1/completions": Route("POST", "text"),
    "/v1/responses": Route("POST", "responses"),
    MESSAGES: Route("POST", "messages"),
    COUNT: Route("POST", "messages"),
    MODELS: Route("GET"),
    "/health/liveliness": Route("GET", is_open=True),
    "/health/readiness": Route("GET", is_open=True),
}
"""All that is served, with `/v1/models/NAME`; LiteLLM has more than 700 paths, and 38 answer without a key."""


def route_of(path: str) -> Route | None:
    """What is served at a path."""
    return ROUTES[MODELS] if path.startswith(f"{MODELS}/") else ROUTES.get(path)


def api_of(path: str, headers: Mapping[str, str]) -> Api:
    """In whose shape an error at a path is told."""
    route = route_of(path)
    if route is not None and route.api is not None:
        return route.api
    return "messages" if path.startswith(MESSAGES) or "anthropic-version" in headers else "chat"


_KINDS: Final = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"} | {
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_ANTHROPIC: Final = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"} | {
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_CODES: Final = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_IN_RESPONSES: Final = {429: "rate_limit_exceeded"}
"""Codes of a response that failed; OpenAI has a list of them, and `server_error` is on it."""


@dataclass(frozen=True)
class Fault:
    """Why there is no answer, or not the rest of one."""

    status: int
    message: str
    kind: str | None = None
    """OpenAI's `type`; by the status if None."""
    parameter: str | None = None
    code: str | None = None
    retry_after: str | None = None
    """Seconds, as the header has them."""

    @property
    def openai(self) -> dict[str, Any]:
        """The error as OpenAI's clients know it."""
        kind = self.kind or _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        code = self.code or _CODES.get(self.status)
        return {"message": self.message, "type": kind, "param": self.parameter, "code": code}

    @property
    def anthropic(self) -> dict[str, Any]:
        """The error as Anthropic's clients know it."""
        kind = _ANTHROPIC.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        return {"type": kind, "message": self.message}

    def body(self, api: Api, request: str | None = None) -> bytes:
        """As the body of a response."""
        if api == "messages":
            told: dict[str, Any] = {"type": "error", "error": self.anthropic, "request_id": request}
        else:
            told = {"error": self.openai}
        return json.dumps(told, ensure_ascii=False).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those of a response with nothing but this in it."""
        again = [] if self.retry_after is None else [(b"retry-after", self.retry_after.encode())]
        # Of a body that was refused the rest is not read.
        close = [(b"connection", b"close")] if self.status in (408, 413) else []
        how = [(b"www-authenticate", b"Bearer")] if self.status == 401 else []
        return [(b"content-type", b"application/json"), *again, *how, *close]

    @property
    def of_a_response(self) -> dict[str, Any]:
        """The `error` of a response, as OpenAI's Responses API has it once a stream has begun."""
        return {"code": _IN_RESPONSES.get(self.status, "server_error"), "message": self.message}


def not_served(path: str) -> Fault:
    """There is nothing at that path."""
    served = ", ".join(sorted({*ROUTES, f"{MODELS}/NAME"}))
    return Fault(404, f"cannot find {path[:200]}: it is not served here. Served: {served}.", code="not_found")


def wrong_method(method: str, path: str, route: Route) -> Fault:
    """It is asked in another way."""
    return Fault(405, f"cannot {method[:20]} {path[:200]}: needed {route.method}.", code="method_not_allowed")


def no_such_name(name: object) -> Fault:
    """Nothing is called so, or not for this key."""
    shown = json.dumps(name, ensure_ascii=False)[:120]
    message = f"cannot find the model {shown}: it is not served here. See {MODELS} for the names that are."
    return Fault(404, message, "invalid_request_error", "model", "model_not_found")
