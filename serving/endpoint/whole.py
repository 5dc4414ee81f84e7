"""An answer in one piece, put together from its chunks as OpenAI has it when `stream` is false."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from serving.endpoint.answering import Event
from serving.errors import UpstreamFailed


async def collected(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    """The answer that events are of, in one piece."""
    whole = Whole()
    async with aclosing(events):
        async for event in events:
            if not isinstance(event, str):
                whole.add(event)
    return whole.answer()


class Whole:
    """Chunks put together."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._finish: str | None = None
        self._parts: dict[str, list[str]] = {"text": [], "content": [], "reasoning": []}
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Take one more."""
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk["choices"]:
            self._last = chunk
            self._finish = choice.get("finish_reason") or self._finish
            pieces = {**choice.get("delta", {}), "text": choice.get("text")}
            for name, parts in self._parts.items():
                parts.append(pieces.get(name) or "")
            for place, call in enumerate(pieces.get("tool_calls") or ()):
                self._add_call(call.get("index", place), call)

    def answer(self) -> dict[str, Any]:
        """All of it. Raises UpstreamFailed when there is nothing."""
        if not self._last:
            raise UpstreamFailed("mlx-lm ended its answer without a choice")
        choice: dict[str, Any] = {"index": 0, "finish_reason": self._finish, "logprobs": None}
        chat = self._last["object"].startswith("chat")
        choice |= {"message": self._message()} if chat else {"text": "".join(self._parts["text"])}
        return {
            **self._last,
            "object": "chat.completion" if chat else "text_completion",
            "choices": [choice],
            "usage": self._usage,
        }

    def _add_call(self, index: int, call: dict[str, Any]) -> None:
        told = self._calls.get(index)
        if told is None:
            self._calls[index] = {key: value for key, value in call.items() if key != "index"}
            return
        # Only the arguments of a call may come in pieces.
        function = told["function"]
        more = call["function"].get("arguments") or ""
        told["function"] = {**function, "arguments": (function.get("arguments") or "") + more}

    def _message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._parts["content"]) or None}
        reasoning = "".join(self._parts["reasoning"])
        if reasoning:
            message["reasoning"] = reasoning
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        return message
