"""Conversations and crowds over two replicas that come and go, through the relay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from serving.gateway.relay_replicas import Known
from tests.serving.endpoint.clients import Client
from tests.serving.gateway.endpoints import (
    SOON,
    STREAM,
    Answer,
    Line,
    Relaying,
    Scripted,
    relaying,
    served,
)
from tests.serving.speaking import USAGE, chat, made_of, said

FELL = {"message": "it fell", "type": "server_error", "param": None, "code": "replica_fell"}
REQUESTS, CLIENTS = 300, 20
WORDS = ("one ", "two ", "three ", "four ", "five")
TURNS = ("Hello", "Hi!", "Count to five.", "1, 2, 3, 4, 5", "Thanks.", "Well, ", "Bye.")


def play(scene: Callable[[Relaying], Coroutine[Any, Any, None]], *scripts: Scripted, **changes: Any) -> None:
    async def run() -> None:
        replicas = [served(script.name, script.port, **changes) for script in scripts]
        async with relaying(*replicas, silent_seconds=20, times=SOON) as relay:
            await scene(relay)

    asyncio.run(run())


def turn(who: str, number: int) -> dict[str, Any]:
    """A request of a conversation that has come to its n-th question."""
    texts = (f"I am {who}.", *TURNS[1 : 2 * number + 1])
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    return STREAM | {"messages": messages}


async def answered_by(relay: Relaying, body: dict[str, Any]) -> str:
    response = await relay.ask(body).over()
    assert response.text == "Hello"
    return response.headers["x-cidermill-replica"]


def test_conversations_return_to_the_replica_that_has_read_them(a: Scripted, b: Scripted):
    async def scene(relay: Relaying) -> None:
        # The second of each pair comes first in the next turn, so that taking turns would swap them.
        first = {who: await answered_by(relay, turn(who, 0)) for who in ("x", "y")}
        later = [
            await answered_by(relay, turn(who, number)) == first[who]
            for number, order in ((1, "yx"), (2, "xy"), (3, "yx"))
            for who in order
        ]

        assert set(first.values()) == {"a", "b"}
        assert all(later)

    play(scene, a, b)


def test_a_conversation_whose_replica_fell_goes_on_elsewhere_and_stays_there(a: Scripted, b: Scripted):
    async def scene(relay: Relaying) -> None:
        home = await answered_by(relay, turn("x", 0))
        fallen = a if home == "a" else b
        fallen.ready = False
        await relay.until(lambda: not relay.known(home).is_usable)
        second = await answered_by(relay, turn("x", 1))
        fallen.ready, fallen.generation = True, 2
        await relay.until(lambda: relay.known(home).is_usable)

        assert second != home
        assert await answered_by(relay, turn("x", 2)) == second

    play(scene, a, b)


def test_an_answer_that_broke_off_is_not_taken_for_read(a: Scripted, b: Scripted):
    a.always = Answer([])

    async def scene(relay: Relaying) -> None:
        assert await answered_by(relay, turn("x", 0)) == "b"
        a.always = None
        await relay.until(lambda: relay.known("a").is_usable)

        assert await answered_by(relay, turn("x", 1)) == "b"

    play(scene, a, b)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_bad_prompt_closes_no_replica_to_others(a: Scripted, status: int):
    a.refuse(status, {"message": "cannot use 'stop'", "type": "invalid_request_error", "param": "stop", "code": None})

    async def scene(relay: Relaying) -> None:
        bad = await relay.ask(STREAM | {"stop": 5}).over()

        assert (bad.status, relay.known("a").is_usable) == (status, True)
        assert await answered_by(relay, STREAM) == "a"

    play(scene, a)


def test_a_prompt_that_fells_whoever_takes_it_is_given_up_and_others_are_answered_there_again(a: Scripted, b: Scripted):
    for script in (a, b):
        script.earlier = [Answer(status=503, error=FELL) for _ in range(3)]

    async def scene(relay: Relaying) -> None:
        bad = await relay.ask(STREAM).over()
        a.earlier, b.earlier = [], []
        await relay.until(lambda: all(each.is_usable for each in relay.replicas.known))

        assert (bad.status, bad.json["error"]["code"]) == (502, "lost")
        assert {await answered_by(relay, turn(str(number), 0)) for number in range(4)} == {"a", "b"}

    play(scene, a, b)


def test_no_request_of_a_crowd_fails_while_each_replica_is_killed_returns_is_drained_and_returns(
    a: Scripted, b: Scripted
):
    for script in (a, b):
        script.always = Answer(_slowly())

    async def scene(relay: Relaying) -> None:
        over: list[Client] = []
        acting = asyncio.create_task(_come_and_go(relay, over, a, b))
        async with asyncio.timeout(300):
            await asyncio.gather(*(_client(relay, who, over, acting) for who in range(CLIENTS)))
        await acting

        assert len(over) >= REQUESTS
        assert {(each.status, each.text, each.chunks[-1]) for each in over} == {(200, "".join(WORDS), "[DONE]")}
        assert [each.in_flight for each in relay.replicas.known] == [0, 0]
        assert any("cidermill" in asked for script in (a, b) for asked in script.asked), "none was struck in its midst"

    play(scene, a, b, slots=8)


def _slowly() -> list[Line]:
    lines: list[Line] = []
    for number, word in enumerate(WORDS):
        lines += [0.01, *said(made_of(chat(content=word), number), done=False)]
    return [*lines, *said(made_of(chat("stop"), len(WORDS)), USAGE)]


async def _client(relay: Relaying, who: int, over: list[Client], acting: asyncio.Task[None]) -> None:
    number = 0
    while len(over) < REQUESTS or not acting.done():
        over.append(await relay.ask(turn(f"{who}-{number // 4}", number % 4)).over())
        number += 1


async def _come_and_go(relay: Relaying, over: list[Client], *scripts: Scripted) -> None:
    for script in scripts:
        known = relay.known(script.name)
        await _some_are_under_way(relay, known)
        script.down = True
        await relay.until(lambda known=known: not known.seen.answered)
        await _more_are_answered(relay, over)
        script.down, script.generation = False, script.generation + 1
        await relay.until(lambda known=known: known.is_usable)
        await _some_are_under_way(relay, known)
        script.draining = True
        await relay.until(lambda known=known: not known.seen.ready and known.in_flight == 0)
        await _more_are_answered(relay, over)
        script.draining = False
        await relay.until(lambda known=known: known.is_usable)


async def _some_are_under_way(relay: Relaying, known: Known) -> None:
    await relay.until(lambda: known.in_flight >= 2)


async def _more_are_answered(relay: Relaying, over: list[Client]) -> None:
    enough = len(over) + 10
    await relay.until(lambda: len(over) >= enough)
