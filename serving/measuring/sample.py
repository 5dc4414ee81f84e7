"""One point asked once: what was ordered, and what it showed. Standard library alone: a Mac runs it for each point."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """Prompts that count so many numbers up, each other than all before, at the same time; and when to give up."""

    sequences: int
    numbers: int
    """In each prompt; how many tokens that makes only the weights' tokenizer knows."""
    answer_tokens: int
    seconds: float


@dataclass(frozen=True)
class Sample:
    """What came of it. Tokens are counted by the endpoint, seconds from when the request was sent."""

    prompt_tokens: tuple[int, ...] = ()
    cached_tokens: tuple[int, ...] = ()
    """Of these, those that had been read before; the start of every prompt, with some tokenizers."""
    first_token_seconds: tuple[float, ...] = ()
    answer_tokens: tuple[int, ...] = ()
    tokens_per_second: float | None = None
    """Of all answers together while all were being written; None when they were too short to tell."""
    others: int = 0
    """Requests of others that the endpoint served meanwhile."""
    cut: bool = False
    """Whether the time was over before the answers were."""
    problem: str = ""
    """Why nothing was measured; then all else is empty."""
