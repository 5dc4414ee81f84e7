"""The object that a response of OpenAI's API is, whole or not yet: what was asked, and what LiteLLM has of the answer.

LiteLLM 1.109.1 leaves out fields that OpenAI's types need, gives a thought the form of a message, and tells of the
request what it made of it. Checked with openai 3.52.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, cast

_ECHOED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}
"""What is told as it was asked, or as it is when nothing was asked."""
_ITEM: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("id", "type", "role", "status", "content"),
    "function_call": ("id", "type", "call_id", "name", "arguments", "status"),
    "custom_tool_call": ("id", "type", "call_id", "name", "input"),
}


class Response:
    """One response, through all the events that hold it."""

    def __init__(self, name: str, asked: Mapping[str, Any]) -> None:
        echoed = {name: asked.get(name, usual) for name, usual in _ECHOED.items()}
        echoed["text"] = {**_ECHOED["text"], **(asked.get("text") or {})}
        echoed["tools"] = [
            {"strict": None, "parameters": None, **tool} if tool["type"] == "function" else tool
            for tool in echoed["tools"]
        ]
        self._asked = {
            "id": f"resp_{name}",
            "object": "response",
            "created_at": int(time.time()),
            "model": asked.get("model"),
            "background": False,
            "previous_response_id": None,
            "service_tier": "default",
            "truncation": "disabled",
            "user": None,
            **echoed,
        }

    def told(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """It, with what there is of the answer."""
        return {
            **self._asked,
            "status": answer.get("status") or "in_progress",
            "error": answer.get("error"),
            "incomplete_details": answer.get("incomplete_details"),
            "output": [self.item(item) for item in answer.get("output") or ()],
            "usage": _usage(answer.get("usage")),
        }

    def item(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """A part of its output."""
        if item.get("type") == "reasoning":
            return _thought(item)
        known = _ITEM.get(str(item.get("type")))
        return dict(item) if known is None else {name: item[name] for name in known if name in item}


def _thought(item: Mapping[str, Any]) -> dict[str, Any]:
    summary = item.get("summary")
    if summary is None:
        parts = cast("list[dict[str, Any]]", item.get("content") or [])
        summary = [{"type": "summary_text", "text": part.get("text") or ""} for part in parts]
    status = item.get("status") or "completed"
    return {"id": item.get("id"), "type": "reasoning", "summary": summary, "status": status}


def _usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    asked: dict[str, Any] = usage.get("input_tokens_details") or {}
    said: dict[str, Any] = usage.get("output_tokens_details") or {}
    return {
        "input_tokens": usage.get("input_tokens") or 0,
        "input_tokens_details": {"cached_tokens": asked.get("cached_tokens") or 0, "cache_write_tokens": 0},
        "output_tokens": usage.get("output_tokens") or 0,
        "output_tokens_details": {"reasoning_tokens": said.get("reasoning_tokens") or 0},
        "total_tokens": usage.get("total_tokens") or 0,
    }
