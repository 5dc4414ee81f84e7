"""What the relay says of a request past LiteLLM, to the door that let it in. Checked with litellm 1.109.1.

LiteLLM wraps an endpoint's error into words of its own and loses its code and its `Retry-After`; of a stream that
breaks off after its headers it makes a whole answer; it tells Anthropic's clients that their prompt has no tokens. Door
and relay are one process, so what is lost on the way is told here: the door gives each request a name, LiteLLM hands it
on as a header (`forward_client_headers_to_llm_api`), and the relay says under that name what it knows.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from serving.gateway.schemas import Schemas

HEADER: Final = "x-cidermill-request"
COUNT_HEADER: Final = "x-cidermill-count"
"""With "1" a request is not answered; its prompt is counted."""


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer, or not the rest of it, in the endpoint's or the relay's own words."""

    status: int
    error: dict[str, Any]
    """As OpenAI's API has it: `message`, `type`, `param`, `code`."""
    retry_after: str | None = None


@dataclass
class Word:
    """What the relay has said of one request so far."""

    name: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    asked: bool = False
    """Whether it came to the relay at all."""
    replica: str | None = None
    """Who answers."""
    schemas: Schemas = field(default_factory=dict[str, Any])
    """Of the request's tools; this the door tells the relay."""
    refusal: Refusal | None = None
    counted: int | None = None
    """Tokens of the prompt, if it was to be counted."""
    prompt_tokens: int | None = None
    """The same of a request that is being answered."""
    stopped_by: str | None = None
    """The stop sequence that ended the answer."""


class Aside:
    """The requests under way, by name."""

    def __init__(self) -> None:
        self._words: dict[str, Word] = {}

    @contextmanager
    def opened(self) -> Generator[Word]:
        """A new request, known for as long as it lasts."""
        word = Word()
        self._words[word.name] = word
        try:
            yield word
        finally:
            del self._words[word.name]

    def word(self, name: str | None) -> Word:
        """Where to say something of a request; what is said of one that nobody waits for is not kept."""
        return self._words.get(name or "") or Word()
