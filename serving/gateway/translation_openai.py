"""OpenAI's chat and completions around LiteLLM 1.109.1.

The endpoint's own policy decides what a request may have, and says so in its own words before LiteLLM sees it. What the
endpoint ignores anyway LiteLLM does not get: it has its own use for `metadata` and `user`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from serving.endpoint.requests import NEEDED, POLICY, Kind, require_known
from serving.errors import RequestRefused
from serving.gateway.apis import Api
from serving.gateway.aside import Word
from serving.gateway.schemas import schemas_of
from serving.gateway.translation import Event, Translation

_KINDS: Final[Mapping[Api, Kind]] = {"chat": "chat", "text": "text"}
_LITELLMS: Final = "provider_specific_fields"
_COUNTED: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


class OpenAi(Translation):
    """A chat or a completion."""

    def __init__(self, api: Api, word: Word) -> None:
        super().__init__(word)
        self.api = api
        self._kind: Kind = _KINDS[api]

    def asked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that have an influence."""
        given = {name: value for name, value in body.items() if value is not None}
        self.name = given.pop("model", None)
        needed = NEEDED[self._kind]
        if needed not in given:
            raise RequestRefused(f"cannot answer without '{needed}'. Add it.", needed)
        require_known(self._kind, given)
        # `store`, `user` and their kind are nobody's loss, so nothing is said of them.
        self.word.schemas = schemas_of(given.get("tools"))
        passed = {name: value for name, value in given.items() if POLICY[self._kind][name].fate != "ignored"}
        return {**passed, "model": self.name}

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Without LiteLLM's own fields, and with the name that was asked for."""
        told: dict[str, Any] = {**answer, "model": self.name}
        told["choices"] = [self._choice(choice) for choice in answer.get("choices", ())]
        return told | {"usage": _usage(told["usage"])} if told.get("usage") else told

    def event(self, event: Event) -> Sequence[Event]:
        """The same of a chunk. A completion's last one has no `text`, which OpenAI's has."""
        return (self.whole(event),)

    def ends(self, event: Event) -> bool:
        """Whether it tells why the answer ends."""
        return any(choice.get("finish_reason") for choice in event.get("choices", ()))

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in choice.items() if name != _LITELLMS}
        for part in ("message", "delta"):
            if part in told:
                told[part] = {name: value for name, value in told[part].items() if name != _LITELLMS}
        if self.api == "text":
            told = {"text": "", "logprobs": None, "finish_reason": None, **told}
        return told


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights counted; LiteLLM adds what it makes of it by a price, and by the tokenizer of other weights."""
    details: dict[str, Any] = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens")
    told = {name: usage[name] for name in _COUNTED if name in usage}
    return told if cached is None else {**told, "prompt_tokens_details": {"cached_tokens": cached}}
