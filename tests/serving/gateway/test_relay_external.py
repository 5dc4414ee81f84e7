"""A backend that is none of ours, over real HTTP on loopback: by its own name, and when no replica can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from serving.gateway.configuration import ExternalBackend
from serving.gateway.relay import Beside, application
from serving.gateway.relay_external import Backends
from serving.gateway.relay_replicas import Replicas
from serving.gateway.relay_upstream import Endpoints
from tests.serving.endpoint.clients import CHAT, HELLO
from tests.serving.gateway.elsewhere import Elsewhere, answering
from tests.serving.gateway.endpoints import SOON, STREAM, TOKEN, Answer, Relaying, Reset, Scripted, served
from tests.serving.speaking import chat, made_of, said

FULL = {"message": "busy", "type": "rate_limit_error", "param": None, "code": "queue_full"}
WRONG = {"message": "cannot use 'stop'", "type": "invalid_request_error", "param": "stop", "code": None}
BEGUN = said(made_of(chat(content="He"), 1), done=False)
KEY = "of-the-backend"
BIG = HELLO | {"model": "big"}


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with answering() as script:
        yield script


def play(
    scene: Callable[[Relaying], Coroutine[Any, Any, None]], backend: ExternalBackend, *scripts: Scripted, **changes: Any
) -> None:
    async def run() -> None:
        replicas = Replicas([served(script.name, script.port, **changes) for script in scripts], TOKEN, SOON)
        app = application(
            replicas, Endpoints(TOKEN, 20), TOKEN, Beside(external=Backends([backend], {backend.name: KEY}))
        )
        async with app.router.lifespan_context(app):
            relaying = Relaying(app, replicas)
            await relaying.until(lambda: all(each.seen.at for each in replicas.known))
            await scene(relaying)

    asyncio.run(run())


@pytest.mark.parametrize("streams", [True, False])
def test_who_asks_by_its_name_is_answered_by_it_and_told_so(elsewhere: Elsewhere, a: Scripted, streams: bool):
    async def scene(relay: Relaying) -> None:
        response = await relay.ask(BIG | {"stream": streams, "stream_options": {"include_usage": True}}).over()
        told = response.chunks[0] if streams else response.json
        text = response.text if streams else response.json["choices"][0]["message"]["content"]

        assert (response.status, text, told["model"]) == (200, "Good day", "big")
        assert response.headers["x-cidermill-replica"] == "external:big"
        assert "x-backend" not in response.headers

    play(scene, elsewhere.declared(), a)

    assert a.asked == []


def test_it_is_told_the_request_under_its_own_name_with_its_key_and_nothing_of_ours(elsewhere: Elsewhere):
    async def scene(relay: Relaying) -> None:
        await relay.ask(BIG | {"temperature": 0.5}, x_cidermill_key="somebody").over()

    play(scene, elsewhere.declared())

    ((path, key, body),) = elsewhere.asked
    assert (path, key) == (CHAT, f"Bearer {KEY}")
    assert (body["model"], body["temperature"], body["stream"]) == ("qwen3:30b", 0.5, True)
    assert "cidermill" not in json.dumps(body)


@pytest.mark.parametrize("status", [400, 413, 422, 429])
def test_what_it_says_of_a_request_that_nobody_else_could_take_is_told(elsewhere: Elsewhere, status: int):
    elsewhere.status, elsewhere.error = status, WRONG

    async def scene(relay: Relaying) -> None:
        response = await relay.ask(BIG).over()

        assert (response.status, response.json) == (status, {"error": WRONG})

    play(scene, elsewhere.declared())


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_what_it_says_of_us_is_not(elsewhere: Elsewhere, status: int):
    elsewhere.status, elsewhere.error = status, {"message": f"key {KEY} is wrong"}

    async def scene(relay: Relaying) -> None:
        response = await relay.ask(BIG).over()

        assert (response.status, response.headers["retry-after"]) == (503, "5")
        assert f"external:big answers {status}" in response.json["error"]["message"]
        assert KEY not in response.content.decode()

    play(scene, elsewhere.declared())


def test_one_where_nobody_listens_is_told_without_its_address():
    with answering() as gone:
        backend = gone.declared()

    async def scene(relay: Relaying) -> None:
        response = await relay.ask(BIG).over()

        assert response.status == 503
        assert "external:big does not answer" in response.json["error"]["message"]
        assert "127.0.0.1" not in response.content.decode()

    play(scene, backend)


@pytest.mark.parametrize(
    "lines", [["data: 5"], ["data: {}"], ['data: {"error": {"message": "x"}}'], ["data: {no JSON"]]
)
def test_one_that_speaks_another_language_is_no_backend(elsewhere: Elsewhere, lines: list[Any]):
    elsewhere.lines = lines

    async def scene(relay: Relaying) -> None:
        assert (await relay.ask(BIG).over()).status in (502, 503)

    play(scene, elsewhere.declared())


def test_a_stream_of_its_that_breaks_off_ends_with_an_error_and_is_not_told_twice(elsewhere: Elsewhere):
    elsewhere.lines = said(chat(content="Good "), done=False)

    async def scene(relay: Relaying) -> None:
        response = await relay.ask(STREAM | {"model": "big"}).over()

        assert (response.text, response.chunks[-1]["error"]["code"]) == ("Good ", "cannot_continue")

    play(scene, elsewhere.declared())

    assert len(elsewhere.asked) == 1


def test_it_answers_for_weights_whose_replicas_are_not_ready_and_the_log_says_so(
    elsewhere: Elsewhere, a: Scripted, caplog: pytest.LogCaptureFixture
):
    a.ready = False

    async def scene(relay: Relaying) -> None:
        response = await relay.ask(STREAM).over()

        assert (response.text, response.headers["x-cidermill-replica"]) == ("Good day", "external:big")

    play(scene, elsewhere.declared("cider-1"), a)

    assert "No replica can answer a request for cider-1: it goes to external backend big" in caplog.text
    assert "Hello" not in caplog.text


def test_it_answers_when_all_replicas_turn_a_request_away_because_they_are_full(elsewhere: Elsewhere, a: Scripted):
    a.always = Answer(status=429, error=FULL, headers={"retry-after": "7"})

    async def scene(relay: Relaying) -> None:
        assert (await relay.ask(STREAM).over()).text == "Good day"

    play(scene, elsewhere.declared("cider-1"), a)


@pytest.mark.parametrize("first", [[], [Reset()]])
def test_a_replica_that_says_it_is_ready_is_waited_for_although_it_has_failed(
    elsewhere: Elsewhere, a: Scripted, first: list[Any]
):
    a.plan(*first)

    async def scene(relay: Relaying) -> None:
        assert (await relay.ask(STREAM).over()).text == "Hello"

    play(scene, elsewhere.declared("cider-1"), a)

    assert elsewhere.asked == []


def test_a_replica_that_can_is_not_passed_over(elsewhere: Elsewhere, a: Scripted):
    async def scene(relay: Relaying) -> None:
        response = await relay.ask(STREAM).over()

        assert (response.text, response.headers["x-cidermill-replica"]) == ("Hello", "a")

    play(scene, elsewhere.declared("cider-1"), a)

    assert elsewhere.asked == []


def test_an_answer_that_a_replica_has_begun_is_never_handed_over(elsewhere: Elsewhere, a: Scripted):
    a.plan(*BEGUN, Reset())

    async def scene(relay: Relaying) -> None:
        client = relay.ask(STREAM)
        await relay.until(lambda: b"He" in client.content)
        a.ready = False
        await relay.until(lambda: not relay.known("a").seen.ready)
        a.ready = True

        assert (await client.over()).text == "Hello"

    play(scene, elsewhere.declared("cider-1"), a)

    assert elsewhere.asked == []


def test_when_it_fails_as_well_the_request_waits_for_a_replica(elsewhere: Elsewhere, a: Scripted):
    a.ready, elsewhere.status = False, 400

    async def scene(relay: Relaying) -> None:
        client = relay.ask(STREAM)
        await relay.until(lambda: len(elsewhere.asked) == 1)
        a.ready = True

        assert (await client.over()).text == "Hello"

    play(scene, elsewhere.declared("cider-1"), a)


def test_used_in_place_of_weights_it_has_no_name_of_its_own(elsewhere: Elsewhere, a: Scripted):
    async def scene(relay: Relaying) -> None:
        assert (await relay.ask(BIG).over()).status == 404

    play(scene, elsewhere.declared("cider-1"), a)
