"""Anthropic's messages around LiteLLM 1.109.1.

On the way in: what agents send for their own server's sake is left out, and said; tools that run at Anthropic are
refused; a tool's error is told to the weights in words, as LiteLLM drops `is_error`. On the way out: the length of the
prompt at the beginning of a stream, which LiteLLM tells as 0, and the stop sequence that ended an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import orjson

from serving.errors import RequestRefused
from serving.gateway.apis import Fault
from serving.gateway.aside import Word
from serving.gateway.form import CountForm, MessagesForm, require_form
from serving.gateway.schemas import schemas_of
from serving.gateway.translation import Event, Translation

_PASSED: Final = frozenset(MessagesForm.model_fields)
_SILENT: Final = frozenset({"metadata", "service_tier", "user_profile_id", "inference_geo"})
"""Nobody's loss, so nothing is said of them."""
_OUTPUT: Final = frozenset({"format"})
"""What of `output_config` has an influence."""
_SERVERS: Final = ("container", "mcp_servers")
_ENDS: Final = frozenset({"message_delta", "message_stop"})


class Messages(Translation):
    """A message, or the count of one."""

    api = "messages"
    done = b""

    def __init__(self, word: Word, count: bool = False) -> None:
        super().__init__(word)
        self._count = count

    def asked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that have an influence."""
        given = {name: value for name, value in body.items() if value is not None}
        self.name = given.get("model")
        require_form(CountForm if self._count else MessagesForm, given)
        for name in _SERVERS:
            if given.pop(name, None):
                raise RequestRefused(f"cannot use '{name}': nothing runs here but the weights. Leave it out.", name)
        self.left_out = sorted(set(given) - _PASSED - _SILENT)
        passed = {name: value for name, value in given.items() if name in _PASSED}
        passed["messages"] = [_turn(turn) for turn in given["messages"]]
        if "tools" in passed:
            passed["tools"] = [_tool(place, tool) for place, tool in enumerate(passed["tools"])]
            self.word.schemas = schemas_of(passed["tools"])
        config: dict[str, Any] = passed.pop("output_config", None) or {}
        self.left_out += sorted(f"output_config.{name}" for name in set(config) - _OUTPUT)
        if config.get("format") is not None:
            passed["output_config"] = {"format": config["format"]}
        return passed | {"max_tokens": 1, "stream": False} if self._count else passed

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """With the name that was asked for, an id of Anthropic's form, and what ended it."""
        content = [_block(block) for block in answer.get("content") or ()]
        told = {**answer, "id": self._id, "model": self.name, "content": content}
        return told | self._ended(answer.get("stop_reason"))

    def event(self, event: Event) -> Sequence[Event]:
        """The same of a stream's first event and its last."""
        kind = event.get("type")
        if kind == "message_start":
            message = {**event["message"], "id": self._id, "model": self.name}
            message["usage"] = {**event["message"]["usage"], "input_tokens": self.word.prompt_tokens or 0}
            return ({**event, "message": message},)
        if kind == "message_delta":
            return ({**event, "delta": {**event["delta"], **self._ended(event["delta"].get("stop_reason"))}},)
        if kind == "content_block_start":
            return ({**event, "content_block": _block(event["content_block"])},)
        return (event,)

    def ends(self, event: Event) -> bool:
        """Whether it tells why the answer ends."""
        return event.get("type") in _ENDS

    def written(self, event: Event) -> bytes:
        """With its name."""
        return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"

    def broken_off(self, fault: Fault) -> bytes:
        """An error event."""
        return self.written({"type": "error", "error": fault.anthropic, "request_id": self.word.name})

    @property
    def _id(self) -> str:
        return f"msg_{self.word.name.removeprefix('req_')}"

    def _ended(self, reason: object) -> dict[str, Any]:
        stopped_by = self.word.stopped_by if reason == "end_turn" else None
        return {"stop_reason": reason if stopped_by is None else "stop_sequence", "stop_sequence": stopped_by}


def _turn(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    content = turn["content"]
    if isinstance(content, str):
        return turn
    return {**turn, "content": [_told_in_words(block) for block in cast("list[dict[str, Any]]", content)]}


def _told_in_words(block: dict[str, Any]) -> dict[str, Any]:
    """A tool's result with its error in it, where the weights can read it."""
    if block["type"] != "tool_result" or not block.get("is_error"):
        return block
    content = block.get("content") or ""
    if isinstance(content, str):
        return {**block, "content": f"Error: {content}"}
    return {**block, "content": [{"type": "text", "text": "Error:"}, *content]}


def _tool(place: int, tool: dict[str, Any]) -> dict[str, Any]:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise RequestRefused(
            f"cannot use tool '{tool['name']}' of type '{str(kind)[:80]}': only tools with an `input_schema`, which "
            "the client runs, are served here. Leave it out.",
            f"tools.{place}.type",
        )
    if tool.get("input_schema") is None:
        raise RequestRefused(f"cannot use tool '{tool['name']}': it has no `input_schema`.", f"tools.{place}")
    return tool


def _block(block: dict[str, Any]) -> dict[str, Any]:
    """A block as Anthropic's types have it: a thought has a signature, if an empty one."""
    return {**block, "signature": block.get("signature") or ""} if block.get("type") == "thinking" else block
