"""Two endpoints over real HTTP, the relay, and its clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from serving.gateway.relay_replicas import Times
from tests.serving.endpoint.clients import CHAT, HELLO, Client
from tests.serving.gateway.endpoints import (
    HE,
    HELLO_WHOLE,
    LLO,
    NOT_READY,
    SOON,
    STREAM,
    Answer,
    Frozen,
    Line,
    Relaying,
    Reset,
    Scripted,
    endpoint,
    relaying,
    served,
)
from tests.serving.speaking import USAGE, chat, made_of, said, text

BUSY = {"message": "busy", "type": "rate_limit_error", "param": None, "code": "queue_full"}
FELL = {"message": "it fell", "type": "server_error", "param": None, "code": "replica_fell"}
BEGUN = said(HE, done=False)


def play(
    scene: Callable[[Relaying], Coroutine[Any, Any, None]],
    *scripts: Scripted,
    silent_seconds: float = 20,
    times: Times = SOON,
    **changes: Any,
) -> None:
    async def run() -> None:
        replicas = [served(script.name, script.port, **changes) for script in scripts]
        async with relaying(*replicas, silent_seconds=silent_seconds, times=times) as relay:
            await scene(relay)

    asyncio.run(run())


def answered(body: Any, *scripts: Scripted, path: str = CHAT, **changes: Any) -> Client:
    clients: list[Client] = []

    async def ask(relay: Relaying) -> None:
        clients.append(await relay.ask(body, path).over())

    play(ask, *scripts, **changes)
    return clients[0]


def error(fault: dict[str, Any]) -> str:
    return said({"error": fault}, done=False)[0]  # type: ignore[return-value]


def test_a_stream_comes_as_the_endpoint_has_it_without_the_private_field(a: Scripted):
    response = answered(STREAM, a)

    *_, usage, last = response.chunks
    assert (response.status, response.text, usage["usage"], last) == (200, "Hello", USAGE["usage"], "[DONE]")
    assert response.headers["x-cidermill-replica"] == "a"
    assert "cidermill" not in response.content.decode()


def test_usage_ends_a_stream_only_when_asked_for(a: Scripted):
    assert all(chunk == "[DONE]" or chunk["choices"] for chunk in answered(HELLO | {"stream": True}, a).chunks)


def test_an_answer_in_one_piece_is_put_together(a: Scripted):
    response = answered(HELLO, a)

    assert response.json["choices"][0]["message"]["content"] == "Hello"
    assert (response.json["usage"], response.headers["x-cidermill-replica"]) == (USAGE["usage"], "a")
    assert (a.asked[0]["stream"], a.asked[0]["stream_options"]) == (True, {"include_usage": True})
    assert a.headers[0]["x-cidermill-relay"] == "1"


def test_a_completion_is_relayed_too(a: Scripted):
    a.plan(*said(made_of(text("upon"), 1), made_of(text(" a time", "length"), 2)))

    response = answered({"model": "cider-1", "prompt": "Once"}, a, path="/v1/completions")

    assert response.json["choices"][0]["text"] == "upon a time"


@pytest.mark.parametrize("body", [HELLO, STREAM])
@pytest.mark.parametrize(
    ("first", "emitted"),
    [
        ([*BEGUN, Reset()], [1]),
        ([*BEGUN], [1]),
        ([*BEGUN, error(FELL)], [1]),
        ([*said(HE, LLO, done=False), Reset()], [1, 2]),
        ([Reset()], None),
        ([": alive", error(NOT_READY)], None),
        ([error(FELL)], None),
    ],
)
def test_an_answer_that_breaks_off_is_brought_to_its_end_elsewhere_each_word_once(
    a: Scripted, b: Scripted, body: dict[str, Any], first: list[Line], emitted: list[int] | None
):
    a.plan(*first)

    response = answered(body, a, b)

    words = response.text if body is STREAM else response.json["choices"][0]["message"]["content"]
    assert words == "Hello"
    assert b.asked[0].get("cidermill") == (None if emitted is None else {"emitted": emitted})
    assert (len(a.asked), len(b.asked)) == (1, 1)


def test_one_that_refuses_because_it_is_not_ready_is_left_for_another(a: Scripted, b: Scripted):
    a.refuse(503, NOT_READY)

    assert answered(STREAM, a, b).text == "Hello"


def test_one_where_nobody_listens_is_left_for_another(b: Scripted):
    with endpoint("a") as gone:
        pass

    assert answered(STREAM, gone, b).text == "Hello"


def test_one_that_is_silent_from_the_start_is_left_for_another(a: Scripted, b: Scripted):
    a.plan(Frozen())

    response = answered(STREAM, a, b, silent_seconds=0.5)

    assert response.text == "Hello"
    assert len(b.asked) == 1


def test_a_process_that_is_stopped_in_an_answer_is_left_before_its_silence_is_long_enough(a: Scripted, b: Scripted):
    a.plan(*BEGUN, Frozen())

    response = answered(STREAM, a, b, silent_seconds=1000, times=replace(SOON, look=0.5))

    assert response.text == "Hello"
    assert b.asked[0]["cidermill"] == {"emitted": [1]}


def test_an_answer_goes_on_while_its_replica_drains(a: Scripted):
    go_on = threading.Event()
    a.plan(*BEGUN, go_on, *HELLO_WHOLE[1:])

    async def scene(relay: Relaying) -> None:
        client = relay.ask(STREAM)
        await relay.until(lambda: b"He" in client.content)
        a.ready = False
        await relay.until(lambda: not relay.known("a").seen.ready)
        await asyncio.sleep(0.2)  # as long as it takes to give a silent one up
        go_on.set()

        assert (await client.over()).text == "Hello"
        assert len(a.asked) == 1

    play(scene, a)


def test_requests_are_held_while_nobody_is_ready_and_go_on_with_the_first_who_is(a: Scripted, b: Scripted):
    a.ready = b.ready = False

    async def scene(relay: Relaying) -> None:
        clients = [relay.ask(body) for body in (HELLO, STREAM)]
        await asyncio.sleep(0.05)
        assert a.asked == b.asked == []
        b.ready = True

        assert [(await client.over()).status for client in clients] == [200, 200]
        assert (len(a.asked), len(b.asked)) == (0, 2)

    play(scene, a, b)


def test_a_stream_whose_replicas_are_all_gone_goes_on_when_one_returns(a: Scripted):
    a.plan(*BEGUN, Reset())

    async def run() -> None:
        with endpoint("b") as later:
            port = later.port
        async with relaying(served("a", a.port), served("b", port)) as relay:
            client = relay.ask(STREAM)
            await relay.until(lambda: b"He" in client.content)
            a.ready = False
            await relay.until(lambda: not relay.known("a").is_usable)
            with endpoint("b", port) as back:
                assert (await client.over()).text == "Hello"
                assert back.asked[0]["cidermill"] == {"emitted": [1]}

    asyncio.run(run())


def test_nobody_waits_longer_than_they_may(a: Scripted):
    a.ready = False

    response = answered(STREAM, a, wait_seconds=0)

    assert (response.status, response.headers["retry-after"]) == (503, "5")
    assert response.json["error"]["code"] == "unavailable"
    assert "replica 'a': replica is forming" in response.json["error"]["message"]
    assert a.asked == []


def test_one_that_is_full_is_left_for_another(a: Scripted, b: Scripted):
    a.refuse(429, BUSY, retry_after="7")

    response = answered(STREAM, a, b)

    assert (response.text, response.headers["x-cidermill-replica"]) == ("Hello", "b")


def test_when_all_are_full_the_client_hears_when_to_come_again(a: Scripted, b: Scripted):
    a.always, b.always = (Answer(status=429, error=BUSY, headers={"retry_after": each}) for each in ("7", "3"))

    response = answered(STREAM, a, b)

    assert (response.status, response.headers["retry-after"], response.json) == (429, "3", {"error": BUSY})
    assert (len(a.asked), len(b.asked)) == (1, 1)


def test_a_stream_that_has_begun_outlasts_a_full_replica(a: Scripted, b: Scripted):
    a.plan(*BEGUN, Reset())
    b.refuse(429, BUSY, retry_after="7")

    async def scene(relay: Relaying) -> None:
        client = relay.ask(STREAM)
        await relay.until(lambda: len(b.asked) == 1)
        a.ready = False

        assert (await client.over()).text == "Hello"

    play(scene, a, b)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_is_wrong_with_a_request_is_told_in_the_endpoints_own_words(a: Scripted, b: Scripted, status: int):
    fault = {"message": "cannot use 'stop'", "type": "invalid_request_error", "param": "stop", "code": None}
    a.refuse(status, fault, retry_after="9", content_type="application/json")

    response = answered(STREAM, a, b)

    assert (response.status, response.json, response.headers["retry-after"]) == (status, {"error": fault}, "9")
    assert b.asked == []


def test_an_answer_that_is_told_differently_elsewhere_ends_with_an_error_and_no_altered_text(a: Scripted, b: Scripted):
    a.plan(*BEGUN, Reset())
    b.plan(*said(made_of(chat(content="Good day"), 1, 2)))

    response = answered(STREAM, a, b)

    assert (response.text, response.chunks[-1]["error"]["code"]) == ("He", "continuation_differs")


def test_a_request_that_fells_whoever_takes_it_is_not_asked_for_ever(a: Scripted, b: Scripted):
    a.always = b.always = Answer([error(FELL)])

    response = answered(STREAM, a, b)

    assert (response.status, response.json["error"]["code"]) == (502, "lost")
    assert len(a.asked) + len(b.asked) == 3


@pytest.mark.parametrize("body", [HELLO, STREAM])
def test_a_client_that_leaves_ends_its_answer_at_the_endpoint(a: Scripted, body: dict[str, Any]):
    a.plan(*BEGUN, threading.Event())

    async def scene(relay: Relaying) -> None:
        client = relay.ask(body)
        await relay.until(lambda: len(a.asked) == 1)
        client.leave()
        await client.over()

        assert await asyncio.to_thread(a.client_left.wait, 10)
        assert relay.known("a").in_flight == 0

    play(scene, a)


def test_a_client_that_leaves_while_it_waits_is_asked_of_nobody(a: Scripted):
    a.ready = False

    async def scene(relay: Relaying) -> None:
        client = relay.ask(HELLO)
        await asyncio.sleep(0.02)
        client.leave()
        await client.over()
        a.ready = True
        await relay.until(lambda: relay.known("a").is_usable)

        assert (await relay.ask(HELLO).over()).status == 200
        assert len(a.asked) == 1

    play(scene, a)


def test_requests_at_once_are_spread_by_slots(a: Scripted, b: Scripted):
    go_on = threading.Event()
    for script in (a, b):
        script.always = Answer([go_on, *HELLO_WHOLE])

    async def run() -> None:
        async with relaying(served("a", a.port, slots=1), served("b", b.port, slots=3)) as relay:
            clients = [relay.ask(HELLO) for _ in range(8)]
            await relay.until(lambda: len(a.asked) + len(b.asked) == 8)
            go_on.set()

            assert {(await client.over()).status for client in clients} == {200}
            assert (len(a.asked), len(b.asked)) == (2, 6)
            assert [each.in_flight for each in relay.replicas.known] == [0, 0]

    asyncio.run(run())


def test_a_request_goes_to_those_who_serve_its_name(a: Scripted, b: Scripted):
    async def run() -> None:
        async with relaying(served("a", a.port), served("b", b.port, weights="cider-2")) as relay:
            response = await relay.ask(HELLO | {"model": "cider-2"}).over()
            nobody = await relay.ask(HELLO | {"model": ["cider-2"]}).over()

            assert (response.headers["x-cidermill-replica"], a.asked) == ("b", [])
            assert (nobody.status, nobody.json["error"]["param"]) == (404, "model")

    asyncio.run(run())


def test_whose_request_it_is_is_passed_on(a: Scripted):
    async def scene(relay: Relaying) -> None:
        await relay.ask(HELLO, x_cidermill_key="one").over()

        assert a.headers[0]["x-cidermill-key"] == "one"

    play(scene, a)


def test_a_body_beyond_the_limit_is_refused_by_the_relay(a: Scripted):
    assert (answered(b" " * 200_000, a).status, a.asked) == (413, [])


def test_nothing_is_answered_without_the_token(a: Scripted):
    async def scene(relay: Relaying) -> None:
        assert (await relay.ask(HELLO, authorization="Bearer other").over()).status == 401

    play(scene, a)
