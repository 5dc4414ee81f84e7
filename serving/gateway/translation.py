"""What the door does to requests and answers around LiteLLM's translation, for each API. Checked with litellm 1.109.1.

Here and not in LiteLLM's callbacks: these see each API's answers as other objects, before they are written down, and
some things are lost only then. What the door sees is what the client will see. Everything here is a function of one
request and of what the relay has said of it (`serving.gateway.aside`); the door does the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from serving.gateway.apis import Api, Fault
from serving.gateway.aside import Word

Event = dict[str, Any]


class Translation(ABC):
    """One request and its answer, in one API."""

    api: Api

    def __init__(self, word: Word) -> None:
        self.word = word
        self.name: object = None
        """What the client called the weights."""
        self.left_out: list[str] = []
        """What of the request has no influence on the answer, though LiteLLM would not say so."""

    @abstractmethod
    def asked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request as LiteLLM may have it: fields of its own API and no others. Raises RequestRefused.

        LiteLLM takes `mock_response`, `api_base` and many more from a body, and fails on what has another form than it
        expects.
        """

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer in one piece, as the client gets it."""
        return answer

    def event(self, event: Event) -> Sequence[Event]:
        """What the client gets for one event of a stream."""
        return (event,)

    @abstractmethod
    def ends(self, event: Event) -> bool:
        """Whether an event says that the answer is whole."""

    def written(self, event: Event) -> bytes:
        """An event as it goes over the wire."""
        return b"data: " + orjson.dumps(event) + b"\n\n"

    def broken_off(self, fault: Fault) -> bytes:
        """The end of a stream that is no end of an answer."""
        return self.written({"error": fault.openai})

    done: bytes = b"data: [DONE]\n\n"
    """The last thing in a stream of an answer that is whole."""


def told_error(event: Event) -> Mapping[str, Any] | None:
    """The error that an event of LiteLLM's tells, in whichever API; None of all others."""
    error = event.get("error")
    if error is None and event.get("type") == "error":
        return event
    if error is None and event.get("type") == "response.failed":
        error = event.get("response", {}).get("error")
    return cast("dict[str, Any]", error) if isinstance(error, dict) else None
