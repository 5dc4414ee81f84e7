"""What rank 0 tells the endpoint of an answer, chunk by chunk; the generator is one that says what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from serving.rank.answer import _Answer  # pyright: ignore[reportPrivateUsage]
from serving.rank.asked import Asked


class Generator:
    """Does to a request what `serving.rank.continuing` does."""

    cli_args = None

    def __init__(self, constraint: Any) -> None:
        self._constraint = constraint

    def generate(self, request: Any, _args: Any, _progress: Any) -> tuple[None, Iterator[Any]]:
        request.constraint = self._constraint
        return None, iter([SimpleNamespace(token=token) for token in (7, 8, 9)])


def news(constraint: Any) -> Iterator[dict[str, Any]]:
    """The private field after each token, and then once more."""
    answer = _Answer(Generator(constraint), Asked())
    _, responses = answer.generate(SimpleNamespace(), SimpleNamespace(max_tokens=5))
    for _ in responses:
        yield answer.news()
    yield answer.news()


def test_every_chunk_has_the_tokens_that_it_was_made_of():
    assert list(news(None)) == [{"tokens": [7]}, {"tokens": [8]}, {"tokens": [9]}, {"tokens": []}]


def test_a_grammar_that_was_given_up_is_told_with_the_reason():
    constraint = SimpleNamespace(failure=None)
    told = news(constraint)
    before = next(told)
    constraint.failure = "too complex"

    assert before == {"tokens": [7]}
    assert next(told) == {"tokens": [8], "given_up": "too complex"}
