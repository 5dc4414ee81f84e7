"""What an error of LiteLLM's means to a client, without LiteLLM's words around it. Pure. Checked with litellm 1.109.1.

Most errors are an endpoint's, and what it said is known from `serving.gateway.aside`. What is left are LiteLLM's own:
a missing field, a limit of a key. They come as `litellm.BadRequestError: OpenAIException - ... LiteLLM: model ...`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from serving.gateway.apis import Fault
from serving.gateway.aside import Refusal

_BEFORE: Final = re.compile(r"^(?:\s|litellm\.\w+: |\w*(?:Error|Exception)\b(?: - |: )|Error code: \d{3} - |\d{3}: )+")
_AFTER: Final = re.compile(
    r"\s*(?:\bmodel=\S+ context_window_fallbacks=|\bLiteLLM: model group|\bReceived Model Group=|"
    r"\bAvailable Model Group|\bNo fallback model|\bLiteLLM Retried:|\bSet 'context_window_fallback').*$",
    re.DOTALL,
)
_PRIVATE: Final = re.compile(r"litellm|traceback|https?://|127\.0\.0\.1|/site-packages/|hosted_vllm", re.IGNORECASE)
_STATUS_OF_TYPES: Final = {
    "authentication_error": 401,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 503,
    "permission_error": 403,
    "rate_limit_error": 429,
}


def of_the_endpoint(refusal: Refusal) -> Fault:
    """What an endpoint or the relay said."""
    error = refusal.error
    return Fault(
        refusal.status,
        str(error.get("message") or f"the request was refused with {refusal.status}"),
        error.get("type"),
        error.get("param"),
        error.get("code"),
        refusal.retry_after,
    )


def of_litellm(status: int, content: bytes, retry_after: str | None) -> Fault:
    """What LiteLLM said in the body of a response."""
    error = _error(content)
    message = plain(error.get("message"), status)
    kind, parameter = error.get("type"), error.get("param")
    return Fault(
        status,
        message,
        kind if isinstance(kind, str) and kind.endswith("_error") and status < 500 else None,
        parameter if isinstance(parameter, str) and parameter != "None" else None,
        _code(error.get("code")),
        retry_after,
    )


def in_a_stream(error: Mapping[str, Any]) -> Fault:
    """What LiteLLM said in the middle of a stream, where the status has gone already."""
    code = str(error.get("code") or "")
    status = int(code) if re.fullmatch(r"[45]\d\d", code) else _STATUS_OF_TYPES.get(str(error.get("type")), 502)
    return Fault(502 if status == 500 else status, plain(error.get("message"), status), code=_code(error.get("code")))


def plain(message: object, status: int) -> str:
    """A message without what is LiteLLM's about it; a general one when nothing would be left or it tells too much."""
    text = message if isinstance(message, str) else ""
    text = _AFTER.sub("", _BEFORE.sub("", text)).strip()
    quoted = re.search(r"\{.*\}", text, re.DOTALL)
    inner = _error(quoted.group().encode()).get("message") if quoted else None
    text = inner if isinstance(inner, str) else text
    if not text or _PRIVATE.search(text):
        advice = "Change the request." if status < 500 else "Send it again."
        return f"cannot answer this request: the gateway's translation refused it with {status}. {advice}"
    return text


def _error(content: bytes) -> Mapping[str, Any]:
    """The error in a body of whichever shape, in words of OpenAI's."""
    text = content.decode(errors="replace").strip().removeprefix("data:").split("\n\n")[0]
    try:
        told: Any = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    fields = cast("dict[str, Any]", told)
    error = fields.get("error", fields.get("detail"))
    if isinstance(error, dict) and isinstance(cast("dict[str, Any]", error).get("error"), str):
        return {"message": cast("dict[str, Any]", error)["error"]}
    return cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}


def _code(code: object) -> str | None:
    """A code that says something; LiteLLM's own are statuses."""
    return code if isinstance(code, str) and not code.isdecimal() and code != "None" else None
