"""How fast a replica is, by a clock that goes on with every token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from serving.conductor.speed import Rounds, measured, of
from serving.endpoint.answering import Event
from serving.errors import SpeedUnknown, UpstreamFailed
from tests.serving.replicas import replica
from tests.serving.speaking import chat, made_of


class Slow:
    """Answers with so many tokens, each of which takes its time; a prompt takes ten seconds."""

    def __init__(self, *paces: float, tokens: int = 9, fails: bool = False) -> None:
        self._paces, self._tokens, self._fails = list(paces), tokens, fails
        self.now = 100.0
        self.asked: list[Mapping[str, Any]] = []

    def clock(self) -> float:
        return self.now

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        assert path == "/v1/chat/completions"
        if self._fails:
            raise UpstreamFailed("mlx-lm did not answer")
        self.asked.append(body)
        pace = self._paces.pop(0) if len(self._paces) > 1 else self._paces[0]
        self.now += 10
        for number in range(self._tokens):
            self.now += pace if number else 0
            yield made_of(chat(content="x"), number)
        yield ": alive"


SHORT = Rounds(tokens=16, seconds=60)


def speed(upstream: Slow, rounds: Rounds = SHORT) -> float:
    return asyncio.run(measured(upstream, replica(), rounds, clock=upstream.clock)).tokens_per_second


def test_tokens_are_counted_by_the_clock_without_the_first_of_each_answer():
    assert speed(Slow(0.1)) == 10.0


def test_the_best_round_counts_as_what_disturbs_makes_it_slower():
    assert speed(Slow(1.0, 1.0, 0.1, 0.1, 1.0, 1.0)) == 10.0


def test_it_is_measured_no_longer_than_until_it_is_fast_enough():
    upstream = Slow(0.1)
    asyncio.run(measured(upstream, replica(), SHORT, 9.0, upstream.clock))
    asked, briefly, upstream = upstream.asked[0]["max_tokens"], len(upstream.asked), Slow(0.1)
    asyncio.run(measured(upstream, replica(), SHORT, 11.0, upstream.clock))

    assert (briefly, asked) == (1, 9)
    assert len(upstream.asked) > SHORT.count


def test_it_is_the_golden_question_that_is_asked_without_chance():
    upstream = Slow(0.1)
    speed(upstream)

    assert {each["messages"][0]["content"] for each in upstream.asked} == {"Who?"}
    assert {each["temperature"] for each in upstream.asked} == {0}


def test_a_round_of_a_slow_replica_ends_when_its_time_is_over():
    upstream = Slow(30.0)

    assert speed(upstream, Rounds(count=1, tokens=1000, seconds=60)) == pytest.approx(1 / 30, abs=0.01)
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("upstream", [Slow(0.1, tokens=1), Slow(0.1, fails=True)])
def test_what_cannot_be_told_is_said_and_not_guessed(upstream: Slow):
    with pytest.raises(SpeedUnknown, match="cannot tell how fast replica 'a' is"):
        speed(upstream)


def test_speeds_of_other_macs_transports_or_layers_are_of_something_else():
    same = of(replica())

    assert of(replica(rank=1, slots=9, context_tokens=4096)) == same
    assert (
        len({same, of(replica(transport="jaccl")), of(replica(sharding="pipeline")), of(replica(layers=(1, 2)))}) == 4
    )
