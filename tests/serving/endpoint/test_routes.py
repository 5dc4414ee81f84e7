from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from serving.api import StateName
from tests.serving.endpoint.clients import CHAT, HELLO, Client, Service
from tests.serving.speaking import USAGE, Script, chat, made_of, said, speaking, text

STREAM = HELLO | {"stream": True}


@pytest.fixture
def script() -> Iterator[Script]:
    with speaking() as script:
        script.say(chat(content="He"), chat(content="llo"), chat("stop"), USAGE)
        yield script


def served(script: Script, play: Callable[[Service], Coroutine[Any, Any, None]], **changes: Any) -> None:
    async def run() -> None:
        await play(Service(script.port, **changes))

    asyncio.run(run())


def answered(script: Script, body: Any, path: str = CHAT, **changes: Any) -> Client:
    async def ask() -> Client:
        return await Service(script.port, **changes).ask(body, path).over()

    return asyncio.run(ask())


def got(script: Script, path: str, method: str = "GET") -> Client:
    async def ask() -> Client:
        return await Service(script.port).get(path, method).over()

    return asyncio.run(ask())


def test_an_answer_in_one_piece_bears_the_served_name(script: Script):
    answer = answered(script, HELLO).json

    assert (answer["model"], answer["object"]) == ("cider-1", "chat.completion")
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert answer["usage"] == USAGE["usage"]


def test_a_completion_is_answered_too(script: Script):
    script.say(text("upon"), text(" a time", "length"))

    answer = answered(script, {"prompt": "Once"}, "/v1/completions").json

    assert answer["choices"][0]["text"] == "upon a time"


def test_a_stream_comes_chunk_by_chunk_under_the_served_name(script: Script):
    response = answered(script, STREAM)

    *parts, last = response.chunks
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [part["choices"][0]["delta"].get("content") for part in parts] == ["He", "llo", None]
    assert {(part["model"], part["object"]) for part in parts} == {("cider-1", "chat.completion.chunk")}
    assert last == "[DONE]"


def test_usage_ends_a_stream_only_when_asked_for(script: Script):
    *_, usage, last = answered(script, STREAM | {"stream_options": {"include_usage": True}}).chunks

    assert (usage["usage"], usage["object"], last) == (USAGE["usage"], "chat.completion.chunk", "[DONE]")


def test_the_private_field_stays_private(script: Script):
    script.say(made_of(chat(content="He"), 1), made_of(chat("stop"), 2), USAGE)

    assert "cidermill" not in answered(script, STREAM).content.decode()
    assert "cidermill" not in answered(script, HELLO).content.decode()


def test_a_stream_of_unknown_tokens_that_breaks_off_ends_with_a_typed_error(script: Script):
    script.break_off(chat(content="He"))

    first, last = answered(script, STREAM).chunks

    assert first["choices"][0]["delta"]["content"] == "He"
    assert (last["error"]["type"], last["error"]["code"]) == ("server_error", "cannot_continue")
    assert "replica 'a' lost this request" in last["error"]["message"]


def test_a_stream_that_breaks_off_goes_on_word_for_word(script: Script):
    script.break_off(made_of(chat(content="He"), 1))
    script.say(made_of(chat(content="Hel") | {"id": "c2"}, 1, 2), made_of(chat("stop", content="lo"), 3), USAGE)

    response = answered(script, STREAM)

    assert response.text == "Hello"
    assert {chunk["id"] for chunk in response.chunks[:-1]} == {"c1"}
    assert [body.get("cidermill") for _, body in script.asked] == [None, {"emitted": [1], "grammar": None}]


def test_an_answer_in_one_piece_goes_on_as_well(script: Script):
    script.break_off(made_of(chat(content="He"), 1))
    script.say(made_of(chat(content="Hello"), 1, 2), made_of(chat("stop"), 3), USAGE)

    assert answered(script, HELLO).json["choices"][0]["message"]["content"] == "Hello"


def test_a_stream_that_is_told_differently_ends_with_an_error_and_no_altered_text(script: Script):
    script.break_off(made_of(chat(content="He"), 1))
    script.say(made_of(chat(content="Good day"), 1, 2), made_of(chat("stop"), 3))

    response = answered(script, STREAM)

    assert response.text == "He"
    assert response.chunks[-1]["error"]["code"] == "continuation_differs"


def test_what_breaks_off_before_a_word_is_asked_again_unseen(script: Script):
    script.break_off()

    response = answered(script, STREAM)

    assert (response.text, response.chunks[-1]) == ("Hello", "[DONE]")
    first, second = script.asked
    assert first == second


def test_a_request_that_fells_its_replica_every_time_is_not_asked_for_ever(script: Script):
    for _ in range(9):
        script.break_off()

    response = answered(script, HELLO)

    assert (response.status, response.json["error"]["code"]) == (502, "lost")
    assert len(script.asked) == 3


def test_a_stream_ends_by_itself_when_only_its_last_words_were_missing(script: Script):
    script.break_off(made_of(chat(content="He"), 1), made_of(chat("stop"), 2))

    response = answered(script, STREAM)

    assert (response.text, response.chunks[-1], len(script.asked)) == ("He", "[DONE]", 1)


def test_a_request_at_fault_is_told_in_openais_shape(script: Script):
    response = answered(script, HELLO | {"stop": 5})

    assert response.status == 400
    assert response.json["error"] == {
        "message": "cannot use 'stop': seen 5, needed a text or a list of at most 16 texts, none of them empty.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": None,
    }
    assert script.asked == []


def test_a_body_beyond_the_limit_is_not_read_to_its_end(script: Script):
    response = answered(script, b" " * 1_000_000)

    assert (response.status, response.headers["connection"]) == (413, "close")


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


def test_the_served_name_is_listed_with_its_context(script: Script):
    (listed,) = got(script, "/v1/models").json["data"]

    assert (listed["id"], listed["max_model_len"], listed["context_window"]) == ("cider-1", 2048, 2048)
    assert got(script, "/v1/models/cider-1").json == listed
    assert got(script, "/v1/models/other").json["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/v1/embeddings", "POST", 404), (CHAT, "GET", 405), ("/nothing", "GET", 404)]
)
def test_what_is_not_served_is_told_in_openais_shape(script: Script, path: str, method: str, status: int):
    response = got(script, path, method)

    assert response.status == status
    assert response.json["error"]["type"] == "invalid_request_error"


def test_metrics_tell_how_requests_ended_and_none_of_their_words(script: Script):
    async def play(service: Service) -> None:
        await service.ask(STREAM).over()
        await service.ask(HELLO | {"stop": 5}).over()
        told = (await service.get("/metrics").over()).content.decode()

        assert 'cidermill_requests_total{outcome="answered"} 1.0' in told
        assert 'cidermill_requests_total{outcome="refused"} 1.0' in told
        assert 'cidermill_tokens_total{direction="out"} 2.0' in told
        assert 'cidermill_replica_state{state="ready"} 1.0' in told
        assert "cidermill_first_token_seconds_count 1.0" in told
        assert "cidermill_between_tokens_seconds_count 2.0" in told
        assert "Hello" not in told

    served(script, play)
