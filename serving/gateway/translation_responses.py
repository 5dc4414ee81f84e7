"""OpenAI's responses around LiteLLM 1.109.1.

On the way in: what needs a memory of earlier responses is refused, which LiteLLM ignores silently; tools that run at
OpenAI are left out, and said. On the way out every event gets its name and number, and the parts that OpenAI's types
ask for; the response itself is told the same way in each event that holds it (`response_object`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import orjson

from serving.errors import RequestRefused
from serving.gateway.apis import Fault
from serving.gateway.aside import Word
from serving.gateway.form import ResponsesForm, require_form
from serving.gateway.response_object import Response
from serving.gateway.schemas import schemas_of
from serving.gateway.translation import Event, Translation

_PASSED: Final = frozenset(
    {"model", "input", "instructions", "stream", "temperature", "top_p", "max_output_tokens", "parallel_tool_calls"}
)
"""As they are; `tools`, `tool_choice` and `text` are looked at."""
_LOOKED_AT: Final = frozenset({"tools", "tool_choice", "text", "metadata"})
_SILENT: Final = frozenset(
    {"user", "service_tier", "store", "include", "safety_identifier", "prompt_cache_key", "stream_options"}
    | {"prompt_cache_retention", "prompt_cache_options", "client_metadata", "background"}
)
"""Nobody's loss, so nothing is said of them."""
_MEMORY: Final = ("previous_response_id", "conversation", "prompt")
_OURS: Final = frozenset({"function", "custom"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_WITH_PROBABILITIES: Final = frozenset({"response.output_text.delta", "response.output_text.done"})
_SUMMARY: Final = "response.reasoning_summary_text.delta"


class Responses(Translation):
    """A response."""

    api = "responses"
    done = b""

    def __init__(self, word: Word) -> None:
        super().__init__(word)
        self._response = Response(word.name.removeprefix("req_"), {})
        self._number = 0
        self._items: dict[str, Mapping[str, Any]] = {}
        """Those that were begun, by id."""
        self._summarised: set[str] = set()

    def asked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that have an influence."""
        given = {name: value for name, value in body.items() if value is not None}
        self.name = given.get("model")
        if isinstance(given.get("input"), list):
            given["input"] = [_typed(item) for item in cast("list[Any]", given["input"])]
        require_form(ResponsesForm, given)
        _require_alone(given)
        self.left_out = sorted(set(given) - _PASSED - _SILENT - _LOOKED_AT - {*_MEMORY})
        passed = {name: value for name, value in given.items() if name in _PASSED}
        passed |= self._tools(given) | self._text(given)
        self.word.schemas = schemas_of(passed.get("tools"))
        self._response = Response(self.word.name.removeprefix("req_"), given | {"tools": passed.get("tools", [])})
        return passed

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """As OpenAI's types have it."""
        return self._response.told(answer)

    def event(self, event: Event) -> Sequence[Event]:
        """One event in its full form, those before it that LiteLLM leaves out, or none."""
        told = {name: value for name, value in event.items() if name != "model"}
        kind, item = str(told.get("type")), str(told.get("item_id"))
        if "response" in told:
            return (told | {"response": self._response.told(told["response"])},)
        if kind.startswith("response.output_item."):
            told["item"] = self._response.item(told["item"])
            self._items[str(told["item"].get("id"))] = told["item"]
            return (told,)
        if kind in _WITH_PROBABILITIES:
            return ({"logprobs": [], **told},)
        if kind == _SUMMARY:
            return self._summary(item, {"summary_index": 0, **told})
        if kind.startswith("response.function_call_arguments."):
            return self._arguments(kind, self._items.get(item, {}), told)
        return (told,)

    def ends(self, event: Event) -> bool:
        """Whether it holds the whole response."""
        return event.get("type") in _ENDS

    def written(self, event: Event) -> bytes:
        """With its name and its number."""
        numbered = event | {"sequence_number": self._number}
        self._number += 1
        return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(numbered) + b"\n\n"

    def broken_off(self, fault: Fault) -> bytes:
        """The response, failed."""
        response = self._response.told({"status": "failed", "error": fault.of_a_response, "output": []})
        return self.written({"type": "response.failed", "response": response})

    def _summary(self, item: str, event: Event) -> Sequence[Event]:
        if item in self._summarised:
            return (event,)
        self._summarised.add(item)
        part = {"type": "summary_text", "text": ""}
        place = {name: event[name] for name in ("item_id", "output_index", "summary_index")}
        return ({"type": "response.reasoning_summary_part.added", "part": part, **place}, event)

    def _arguments(self, kind: str, item: Mapping[str, Any], event: Event) -> Sequence[Event]:
        """Arguments of a function; of a custom tool its input, which is whole only at the end."""
        if item.get("type") != "custom_tool_call":
            return (event,)
        if not kind.endswith(".done"):
            return ()
        text = _input(str(event.get("arguments")))
        place = {name: event[name] for name in ("item_id", "output_index")}
        return (
            {"type": "response.custom_tool_call_input.delta", "delta": text, **place},
            {"type": "response.custom_tool_call_input.done", "input": text, **place},
        )

    def _tools(self, given: Mapping[str, Any]) -> dict[str, Any]:
        tools: list[dict[str, Any]] = given.get("tools") or []
        served = [tool for tool in tools if tool["type"] in _OURS]
        self.left_out += [f"tools.{tool['type'][:40]}" for tool in tools if tool["type"] not in _OURS]
        choice = given.get("tool_choice")
        if isinstance(choice, dict) and cast("dict[str, Any]", choice).get("type") not in _OURS:
            kind = str(cast("dict[str, Any]", choice).get("type"))[:80]
            raise RequestRefused(
                f"cannot use the tool '{kind}': only functions and custom tools, which the client runs, are served.",
                "tool_choice",
            )
        passed = {"tools": served} if served else {}
        return passed | ({"tool_choice": choice} if choice is not None and served else {})

    def _text(self, given: Mapping[str, Any]) -> dict[str, Any]:
        text: dict[str, Any] = given.get("text") or {}
        self.left_out += sorted(f"text.{name}" for name in set(text) - {"format"})
        return {"text": {"format": text["format"]}} if text.get("format") is not None else {}


def _typed(item: Any) -> Any:
    """An item with its kind, which a message need not name."""
    fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    return {"type": "message", **fields} if "role" in fields else cast("Any", item)


def _require_alone(given: Mapping[str, Any]) -> None:
    for name in _MEMORY:
        if given.get(name):
            raise RequestRefused(
                f"cannot use '{name}': nothing of earlier responses is kept here. Send the whole conversation in "
                "'input'.",
                name,
            )
    if given.get("background"):
        raise RequestRefused(
            "cannot use 'background': nothing is kept to be fetched later. Leave it out.", "background"
        )


def _input(arguments: str) -> str:
    """The text of a custom tool's call, which LiteLLM has the weights write as a function's only argument."""
    try:
        told: Any = json.loads(arguments)
    except ValueError:
        return arguments
    content = cast("dict[str, Any]", told).get("content") if isinstance(told, dict) else None
    return content if isinstance(content, str) else arguments
