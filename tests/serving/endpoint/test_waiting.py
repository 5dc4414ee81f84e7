"""Requests that wait: for a slot, for a replica, for an answer that falls silent; and clients that do not."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from serving.api import StateName
from tests.serving.endpoint.clients import HELLO, STREAM, Client, Service, answered, served
from tests.serving.speaking import Script, chat, made_of, said, speaking


@pytest.mark.parametrize("state", ["absent", "forming", "loading", "warming", "failed"])
def test_a_replica_that_will_be_ready_is_waited_for(script: Script, state: StateName):
    async def play(service: Service) -> None:
        client = service.ask(HELLO)
        await service.until(lambda: service.endpoint.report.held == 1)
        service.replica.become("ready", 2)

        assert (await client.over()).json["choices"][0]["message"]["content"] == "Hello"
        assert service.endpoint.report.held == 0

    served(script, play, state=state)


@pytest.mark.parametrize("state", ["absent", "forming", "loading", "warming", "failed"])
def test_nobody_waits_beyond_the_budget(script: Script, state: StateName):
    response = answered(script, HELLO, state=state, wait_seconds=0)

    assert (response.status, response.headers["retry-after"]) == (503, "5")
    assert f"replica 'a' is {state}. It waited 0 s" in response.json["error"]["message"]
    assert script.asked == []


@pytest.mark.parametrize("state", ["broken", "draining"])
def test_a_replica_that_takes_nothing_says_so_at_once(script: Script, state: StateName):
    response = answered(script, HELLO, state=state, wait_seconds=1000)

    assert response.status == 503
    assert f"replica 'a' is {state}" in response.json["error"]["message"]


def test_those_who_wait_for_a_replica_hear_when_it_breaks(script: Script):
    async def play(service: Service) -> None:
        clients = [service.ask(HELLO) for _ in range(3)]
        await service.until(lambda: service.endpoint.report.queued == 1)
        service.replica.become("broken", reason="mac-2 needs a new cable.")

        responses = [await client.over() for client in clients]
        assert {response.status for response in responses} == {503}
        assert all("needs a new cable" in response.json["error"]["message"] for response in responses)

    served(script, play, state="forming", slots=2)


def test_what_was_taken_is_answered_while_the_replica_drains(script: Script):
    silent = threading.Event()
    script.lines.insert(0, silent)

    async def play(service: Service) -> None:
        client = service.ask(STREAM)
        await service.until(lambda: bool(script.asked))
        service.replica.become("draining")
        silent.set()

        assert (await client.over()).text == "Hello"

    served(script, play)


def test_more_than_may_wait_are_told_when_to_come_again(script: Script):
    silent = threading.Event()
    script.lines.insert(0, silent)

    async def play(service: Service) -> None:
        clients = [service.ask(HELLO) for _ in range(3)]
        await service.until(lambda: service.endpoint.report.requests["busy"] == 1)
        silent.set()
        responses = [await client.over() for client in clients]

        (refused,) = [response for response in responses if response.status == 429]
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json["error"]["type"] == "rate_limit_error"
        assert sorted(response.status for response in responses) == [200, 200, 429]

    served(script, play, slots=1, queue=1)


def test_no_more_are_upstream_than_there_are_slots(script: Script):
    silent = threading.Event()
    script.lines.insert(0, silent)

    async def play(service: Service) -> None:
        clients = [service.ask(HELLO) for _ in range(6)]
        await service.until(lambda: len(script.asked) == 2 and service.endpoint.report.queued == 4)

        assert service.endpoint.report.in_flight == 2
        silent.set()
        assert {(await client.over()).status for client in clients} == {200}
        assert (service.endpoint.report.in_flight, service.endpoint.report.queued) == (0, 0)

    served(script, play, slots=2)


@pytest.mark.parametrize("body", [HELLO, STREAM])
def test_a_client_that_leaves_while_mlx_lm_reads_or_writes_ends_its_answer_upstream(
    script: Script, body: dict[str, Any]
):
    script.lines = [": keepalive 1/2", f"{said(chat(content='x'))[0]}"]
    script.endless = True

    async def play(service: Service) -> None:
        client = service.ask(body)
        await service.until(lambda: bool(script.asked))
        client.leave()
        await client.over()

        assert service.endpoint.report.in_flight == 0
        assert service.endpoint.report.requests["left"] == 1
        assert await asyncio.to_thread(script.client_left.wait, 10)

    served(script, play)


def test_a_client_that_leaves_while_it_waits_leaves_the_queue(script: Script):
    async def play(service: Service) -> None:
        held, queued = service.ask(HELLO), service.ask(HELLO)
        await service.until(lambda: service.endpoint.report.queued == 1)
        queued.leave()
        await queued.over()
        assert (service.endpoint.report.in_flight, service.endpoint.report.queued) == (1, 0)
        held.leave()
        await held.over()
        assert (service.endpoint.report.in_flight, service.endpoint.report.held) == (0, 0)

    served(script, play, state="forming", slots=1)

    assert script.asked == []


def test_keys_take_turns(script: Script):
    silent = threading.Event()
    script.lines.insert(0, silent)

    async def play(service: Service) -> None:
        def ask(key: str, number: int) -> Client:
            return service.ask(HELLO | {"max_tokens": number}, x_cidermill_key=key)

        clients = [ask("one", 1)]
        await service.until(lambda: len(script.asked) == 1)
        for key, number in (("one", 2), ("one", 3), ("two", 4), ("two", 5)):
            clients.append(ask(key, number))
            await service.until(lambda: service.endpoint.report.queued == len(clients) - 1)
        silent.set()
        for client in clients:
            await client.over()

    served(script, play, slots=1)

    assert [body["max_tokens"] for _, body in script.asked] == [1, 2, 4, 3, 5]


def test_an_answer_that_falls_silent_is_given_up_when_the_replica_falls(script: Script):
    script.earlier.append([*said(made_of(chat(content="He"), 1), done=False), threading.Event()])
    script.say(made_of(chat(content="Hello"), 1, 2), made_of(chat("stop"), 3))

    async def play(service: Service) -> None:
        client = service.ask(STREAM)
        await service.until(lambda: b"He" in client.content)
        service.replica.become("failed")
        await service.until(lambda: service.endpoint.report.held == 1)
        service.replica.become("ready", 2)

        assert (await client.over()).text == "Hello"
        assert service.endpoint.report.continued == 1

    served(script, play)


def test_a_request_that_mlx_lm_has_lost_is_asked_again(script: Script):
    script.earlier.append([threading.Event()])

    async def play(service: Service) -> None:
        client = service.ask(HELLO)
        await service.until(lambda: len(script.asked) == 1)
        steps = 0
        while len(script.asked) == 1:
            steps += 1
            service.replica.tick(steps, "idle")
            await asyncio.sleep(0.002)

        assert (await client.over()).status == 200
        assert service.endpoint.report.replayed == 1

    served(script, play)


def test_a_long_prompt_is_waited_for_however_long_it_takes(script: Script):
    silent = threading.Event()
    script.lines.insert(0, silent)

    async def play(service: Service) -> None:
        client = service.ask(HELLO)
        await service.until(lambda: len(script.asked) == 1)
        for steps in range(100):
            service.replica.tick(steps, "prefilling")
            await asyncio.sleep(0.001)
        silent.set()

        assert (await client.over()).status == 200
        assert len(script.asked) == 1

    served(script, play)


def test_nobody_listening_is_waited_out():
    with speaking() as before:
        port = before.port

    async def play() -> None:
        service = Service(port)
        client = service.ask(HELLO)
        await service.until(lambda: service.endpoint.report.in_flight == 1)
        with speaking(port) as script:
            script.say(chat("stop", content="Hello"))

            assert (await client.over()).status == 200

    asyncio.run(play())


@pytest.mark.parametrize(("relay", "code"), [("0", "unavailable"), ("1", "replica_fell")])
def test_who_has_heard_nothing_when_the_endpoint_ends_is_told_so(script: Script, relay: str, code: str):
    async def play(service: Service) -> None:
        client = service.ask(STREAM, x_cidermill_relay=relay)
        await service.until(lambda: service.endpoint.report.in_flight == 1)
        await client.end()

        assert (client.status, client.json["error"]["code"]) == (503, code)
        assert "ends" in client.json["error"]["message"]
        assert service.endpoint.report.in_flight == 0

    script.lines.insert(0, threading.Event())
    served(script, play)


def test_a_stream_that_is_under_way_when_the_endpoint_ends_breaks_off(script: Script):
    async def play(service: Service) -> None:
        client = service.ask(STREAM)
        await service.until(lambda: client.text == "He")
        await client.end()

        assert (client.status, client.chunks[-1]["choices"][0]["delta"]["content"]) == (200, "He")

    script.lines.insert(1, threading.Event())
    served(script, play)
