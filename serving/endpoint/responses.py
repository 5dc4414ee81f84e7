"""What clients are told when there is no answer: errors in the shape of OpenAI's API, with the right status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from serving.errors import AnswerDiffers, CidermillError, QueueFull, ReplicaUnavailable, RequestRefused

RETRY_SECONDS: Final = 5
"""When to come again to a replica that is not ready."""

_ADVICE: Final = {404: "See /v1/models for what is served here.", 405: "See OpenAI's API for how to call it."}

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""`json.dumps` would make an encoder for each chunk."""


@dataclass(frozen=True)
class Told:
    """One error as it goes to a client."""

    status: int
    message: str
    kind: str
    outcome: str
    """How it is counted."""
    parameter: str | None = None
    code: str | None = None
    retry_seconds: int | None = None

    @property
    def object(self) -> dict[str, Any]:
        """As it stands in a response, or in a stream that has begun."""
        return {
            "error": {"message": self.message, "type": self.kind, "param": self.parameter, "code": self.code},
        }

    def response(self) -> Response:
        """As a response of its own."""
        headers = {} if self.retry_seconds is None else {"Retry-After": str(self.retry_seconds)}
        if self.status in (408, 413):
            headers["Connection"] = "close"  # the rest of the body is not read
        return JSONResponse(self.object, self.status, headers)


def told(fault: CidermillError, replica: str, retry_seconds: int) -> Told:
    """How an error of ours is told; `retry_seconds` is when a slot may be free."""
    text = str(fault)
    if isinstance(fault, RequestRefused):
        return Told(fault.status, text, "invalid_request_error", "refused", fault.parameter, fault.code)
    if isinstance(fault, QueueFull):
        again = f"{text}. Send it again in {retry_seconds} s."
        return Told(429, again, "rate_limit_error", "busy", code="queue_full", retry_seconds=retry_seconds)
    if isinstance(fault, ReplicaUnavailable):
        again = f"{text} Send it again in {RETRY_SECONDS} s."
        return Told(503, again, "server_error", "unavailable", code="unavailable", retry_seconds=RETRY_SECONDS)
    lost = f"replica '{replica}' lost this request: {text}. Send it again."
    if isinstance(fault, AnswerDiffers):
        return Told(502, lost, "server_error", "differs", code=fault.code)
    return Told(502, lost, "server_error", "failed", code="lost")


def error(status: int, message: str, kind: str, parameter: str | None = None, code: str | None = None) -> JSONResponse:
    """An error as OpenAI's clients expect it."""
    return JSONResponse(Told(status, message, kind, "", parameter, code).object, status)


def unavailable(message: str, code: str | None) -> JSONResponse:
    """The replica cannot take a request now."""
    response = error(503, message, "server_error", code=code)
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


async def _http_error(request: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    headers = (fault.headers if isinstance(fault, HTTPException) else None) or {}
    advice = _ADVICE.get(status, "It is in this machine's log.")
    seen = f"cannot {request.method} {request.url.path[:200]}: {status}. {advice}"
    kind = "invalid_request_error" if status < 500 else "server_error"
    response = error(status, seen, kind)
    response.headers.update(headers)
    return response


ERRORS: Final[dict[Any, ExceptionHandler]] = {HTTPException: _http_error, Exception: _http_error}
"""For Starlette: paths and methods that are not served, and what should never happen, in OpenAI's shape too."""


def data(value: object) -> bytes:
    """One event of a stream."""
    return f"data: {_encode(value)}\n\n".encode()
