"""A whole answer, whatever becomes of those who give it.

`answer` knows neither HTTP nor replicas: `attempt` asks somebody, from the answer's beginning or on from tokens that
were told already, and `ready` waits until there is somebody to ask. One that has told nothing is asked again as it was;
one that has begun is continued where `telling.may_continue` allows it. So one replica that forms again will do for
both, and so would several that take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from serving.endpoint.telling import Chunk, Retelling, Told, may_continue
from serving.errors import AnswerDiffers, FormGivenUp, RequestRefused, UpstreamFailed, UpstreamUnreachable
from serving.rank.asked import Asked

Event = Chunk | str
"""One chunk of an answer, or a comment line that keeps the connection alive."""

Attempt = Callable[[Asked], AsyncGenerator[Event, None]]
"""Ends normally only after a whole answer; raises UpstreamFailed when it breaks off."""

HELD: Final = ": held until the answer can go on"


@dataclass(frozen=True)
class Terms:
    """What was asked, as far as it matters for asking it again."""

    most_tokens: int | None = None
    prompt_tokens: int | None = None
    """If somebody counted them."""
    grammar: str | None = None
    comment_seconds: float = 5
    """Between comments while an answer that was begun is held."""
    fruitless: int = 3
    """Attempts in a row that may bring nothing: a request that fells every replica must not be asked for ever."""


class Course:
    """What became of an answer so far, for those who count."""

    def __init__(self) -> None:
        self.replayed = 0
        self.continued = 0


async def answer(
    told: Told, attempt: Attempt, ready: Callable[[], Awaitable[None]], terms: Terms, course: Course
) -> AsyncGenerator[Event, None]:
    """The answer, each piece of it once. `told` holds what of it was passed on.

    Raises what `ready` and `attempt` raise before the first piece; UpstreamFailed when too many attempts brought
    nothing, AnswerDiffers when what was begun cannot be continued, and FormGivenUp.
    """
    fruitless, passed_on = 0, False
    while True:
        async with aclosing(_held(ready, terms.comment_seconds)) as comments:
            async for comment in comments:
                if passed_on:
                    yield comment
        before = len(told.tokens)
        try:
            async with aclosing(_told(told, attempt(Asked(tuple(told.tokens), terms.grammar)))) as events:
                async for event in events:
                    passed_on = True
                    yield event
        except UpstreamFailed as failed:
            fruitless = _count_fruitless(fruitless, told, before, failed)
            ending = _ending(told, terms, failed)
            if ending is None and fruitless >= terms.fruitless:
                raise
        except RequestRefused as refused:
            if told.begun and not isinstance(refused, FormGivenUp):
                raise AnswerDiffers(f"cannot go on with this answer: {refused}", "cannot_continue") from refused
            raise
        else:
            return
        if ending is not None:
            for chunk in ending:
                yield chunk
            return
        if told.begun:
            course.continued += 1
        else:
            course.replayed += 1


async def _held(ready: Callable[[], Awaitable[None]], comment_seconds: float) -> AsyncGenerator[str, None]:
    waiting = asyncio.ensure_future(ready())
    try:
        while not (await asyncio.wait({waiting}, timeout=comment_seconds))[0]:
            yield HELD
        waiting.result()
    finally:
        waiting.cancel()


async def _told(told: Told, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    retelling = Retelling(told)
    async with aclosing(events):
        async for event in events:
            new = event if isinstance(event, str) else retelling.hear(event)
            if new is not None:
                yield new
    if told.finish is None:
        raise UpstreamFailed("mlx-lm ended its answer before it was whole")


def _count_fruitless(fruitless: int, told: Told, before: int, failed: UpstreamFailed) -> int:
    if isinstance(failed, UpstreamUnreachable):
        return fruitless  # the request had no part in it
    return 0 if len(told.tokens) > before else fruitless + 1


def _ending(told: Told, terms: Terms, failed: UpstreamFailed) -> list[Chunk] | None:
    """What is missing of an answer that was generated to its end; None when it has to be asked again."""
    ending = told.end(terms.prompt_tokens, terms.most_tokens)
    if ending is None and told.begun and not may_continue(told):
        raise AnswerDiffers(
            f"cannot go on with this answer: {failed}, and nobody knows which tokens it was made of", "cannot_continue"
        ) from failed
    return ending
