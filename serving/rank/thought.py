"""Follows the thinking before an answer, token by token.

Marks of a thought are whole tokens, one or several, as mlx-lm 0.32.2 infers them from the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

_TAIL: Final = 11
"""How many tokens of thinking a chat template appends to a prompt at the most, as mlx-lm counts them."""


@dataclass
class Thought:
    """An answer may begin with a thought, be inside one, or be past it."""

    state: Literal["before", "inside", "past"]
    start: Sequence[int] = ()
    end: Sequence[int] = ()
    forbidden: Sequence[int] = ()
    """What must not be said inside, because mlx-lm would take the thought for ended."""
    _made: list[int] = field(default_factory=list[int])

    @classmethod
    def after(cls, prompt: Sequence[int], tokenizer: Any) -> Thought:
        """The thought of an answer to a prompt; `tokenizer` is mlx-lm's."""
        if not tokenizer.has_thinking:
            return cls("past")
        began, ended = tokenizer.rfind_think_start(prompt), tokenizer.rfind_think_end(prompt)
        told_not_to = ended > began and ended >= len(prompt) - _TAIL
        call = tokenizer.tool_call_start_tokens or ()
        return cls(
            "inside" if began > ended else "past" if told_not_to else "before",
            tokenizer.think_start_tokens,
            tokenizer.think_end_tokens,
            call if len(call) == 1 else (),
        )

    @property
    def goes_on(self) -> bool:
        """Whether anything may be thought now."""
        return self.state == "inside"

    @property
    def due(self) -> int | None:
        """The token that begins a thought, or goes on beginning it."""
        return self.start[len(self._made)] if self.state == "before" else None

    @property
    def may_be_left(self) -> bool:
        """Whether the answer may begin instead of the thought."""
        return not self._made

    def take(self, token: int) -> Sequence[int]:
        """Follow one token; returns those that belong to the answer."""
        if self.state == "past":
            return (token,)
        self._made.append(token)
        if self.state == "before":
            return self._opened()
        del self._made[: -len(self.end)]
        if self._made == list(self.end):
            self.state = "past"
        return ()

    def _opened(self) -> Sequence[int]:
        made, start = self._made, list(self.start)
        if made != start[: len(made)]:
            self.state = "past"
            return made
        if made == start:
            self.state, self._made = "inside", []
        return ()
