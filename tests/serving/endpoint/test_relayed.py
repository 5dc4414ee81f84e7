"""An endpoint that a relay asks: it says what becomes of a request, and leaves the rest to the relay."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from serving.api import StateName
from serving.endpoint import relayed
from serving.endpoint.exchange import Exchange
from serving.errors import RequestRefused, UpstreamUnreachable
from tests.serving.endpoint.clients import STREAM, Client, Service, served, tokenizer
from tests.serving.speaking import USAGE, Script, chat, made_of, said, speaking

HE, LLO, STOP = made_of(chat(content="He"), 1), made_of(chat(content="llo"), 2), made_of(chat("stop"), 3)


@pytest.fixture
def script() -> Iterator[Script]:
    with speaking() as script:
        script.say(HE, LLO, STOP, USAGE)
        yield script


def ask(service: Service, body: Any = STREAM) -> Client:
    return service.ask(body, x_cidermill_relay="1")


def answered(script: Script, body: Any = STREAM, **changes: Any) -> Client:
    async def run() -> Client:
        return await ask(Service(script.port, **changes), body).over()

    return asyncio.run(run())


def code(client: Client) -> str:
    return (client.chunks[-1] if client.chunks else client.json)["error"]["code"]


def test_chunks_keep_their_private_field_and_usage_comes_unasked(script: Script):
    *chunks, usage, last = answered(script).chunks

    assert [chunk["cidermill"]["tokens"] for chunk in chunks] == [[1], [2], [3]]
    assert (usage["usage"], last) == (USAGE["usage"], "[DONE]")


def test_a_relay_hears_how_long_the_prompt_is_before_the_answer(script: Script):
    comments = [line for line in answered(script).lines if not line.startswith("data: ")]

    assert [relayed.prompt_tokens(line) for line in comments] == [9]


def test_who_is_no_relay_hears_nothing_of_the_kind(script: Script):
    async def play(service: Service) -> None:
        assert not [line for line in (await service.ask(STREAM).over()).lines if line.startswith(":")]

    served(script, play)


def told_to_stop(script: Script, words: str, *stops: str, end: int | None = None) -> list[str]:
    """What a relay hears of the stop sequences, when an answer of these words is stopped."""
    *tokens, last = tokenizer().result().tokens("text", {"prompt": words})
    script.say(made_of(chat(content=words), *tokens), made_of(chat("stop"), last if end is None else end), USAGE)
    comments = [line for line in answered(script, STREAM | {"stop": [*stops]}).lines if line.startswith(":")]
    return [stop for stop in map(relayed.stopped_by, comments) if stop is not None]


def test_a_relay_hears_which_stop_sequence_ended_an_answer(script: Script):
    assert told_to_stop(script, "one two three", "two three", "four") == ["two three"]


def test_of_two_that_are_in_an_answer_it_was_the_last(script: Script):
    assert told_to_stop(script, "one two three", "one", "three") == ["three"]


def test_an_answer_that_came_to_its_own_end_was_not_stopped(script: Script):
    (end,) = tokenizer().result()._tokenizer.eos_token_ids  # pyright: ignore[reportPrivateUsage]

    assert told_to_stop(script, "one two three", "two", end=end) == []


@pytest.mark.parametrize("comment", [": alive", ": prompt", ": prompt x", "prompt 5", ""])
def test_other_comments_tell_of_no_prompt(comment: str):
    assert relayed.prompt_tokens(comment) is None


def test_tokens_that_a_relay_has_are_handed_on_and_pass_no_policy(script: Script):
    answered(script, STREAM | {"cidermill": {"emitted": [1, 2]}})

    assert script.asked[0][1]["cidermill"] == {"emitted": [1, 2], "grammar": None}


def test_nobody_but_a_relay_may_use_the_private_field(script: Script):
    async def play(service: Service) -> None:
        response = await service.ask(STREAM | {"cidermill": {"emitted": [1]}}).over()

        assert (response.status, response.json["error"]["param"]) == (400, "cidermill")

    served(script, play)


@pytest.mark.parametrize("state", ["absent", "forming", "loading", "warming", "draining", "failed", "broken"])
def test_a_replica_that_is_not_ready_says_so_at_once(script: Script, state: StateName):
    response = answered(script, state=state, wait_seconds=1000)

    assert (response.status, code(response)) == (503, "replica_not_ready")
    assert script.asked == []


@pytest.mark.parametrize(
    ("lines", "status"), [([], 503), ([": keepalive 1/2"], 200), (said(HE, done=False), 200), (said(HE), 200)]
)
def test_an_answer_that_breaks_off_is_neither_asked_again_nor_continued(script: Script, lines: list[Any], status: int):
    script.lines = lines

    response = answered(script)

    assert (response.status, code(response), len(script.asked)) == (status, "replica_fell", 1)


def test_a_request_that_never_came_to_mlx_lm_is_told_from_one_that_did():
    with speaking() as gone:
        pass

    response = answered(gone)

    assert (response.status, code(response)) == (503, "replica_not_ready")


def test_who_waits_for_a_slot_hears_at_once_when_the_replica_falls(script: Script):
    script.lines = [threading.Event()]

    async def play(service: Service) -> None:
        first, queued = ask(service), ask(service)
        await service.until(lambda: service.endpoint.report.queued == 1 and len(script.asked) == 1)
        service.replica.become("failed")

        assert code(await queued.over()) == "replica_not_ready"
        assert code(await first.over()) == "replica_fell"
        assert (service.endpoint.report.in_flight, service.endpoint.report.queued) == (0, 0)

    served(script, play, slots=1)


def test_who_waits_for_a_slot_gets_one_while_the_replica_drains(script: Script):
    go_on = threading.Event()
    script.lines.insert(0, go_on)

    async def play(service: Service) -> None:
        first, queued = ask(service), ask(service)
        await service.until(lambda: service.endpoint.report.queued == 1)
        service.replica.become("draining")
        go_on.set()

        assert [(await each.over()).text for each in (first, queued)] == ["Hello", "Hello"]

    served(script, play, slots=1)


def test_a_full_queue_and_a_wrong_request_are_told_as_to_anybody(script: Script):
    script.lines.insert(0, threading.Event())

    async def play(service: Service) -> None:
        first = ask(service)
        await service.until(lambda: service.endpoint.report.in_flight == 1)
        full, wrong = await ask(service).over(), await ask(service, STREAM | {"stop": 5}).over()
        first.leave()
        await first.over()

        assert (full.status, code(full), "retry-after" in full.headers) == (429, "queue_full", True)
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "stop")
        assert service.endpoint.report.in_flight == 0

    served(script, play, slots=1, queue=0)


def test_the_tokens_of_an_answer_are_counted(script: Script):
    async def play(service: Service) -> None:
        await ask(service).over()

        report = service.endpoint.report
        assert (report.prompt_tokens, report.completion_tokens, report.requests["answered"]) == (3, 2, 1)

    served(script, play)


def test_what_mlx_lm_had_read_before_is_counted_for_people_and_for_prometheus(script: Script):
    usage = {**USAGE["usage"], "prompt_tokens_details": {"cached_tokens": 2}}
    script.say(HE, STOP, {**USAGE, "usage": usage})

    async def play(service: Service) -> None:
        await ask(service).over()
        await service.ask(STREAM).over()

        assert (service.endpoint.report.prompt_tokens, service.endpoint.report.cached_tokens) == (6, 4)
        assert "cidermill_cached_tokens_total 4.0" in (await service.get("/metrics").over()).lines

    served(script, play)


def test_something_is_heard_while_there_is_nothing_to_say():
    sent: list[Any] = []
    enough = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 4:
            enough.set()

    async def run() -> None:
        exchange = Exchange({"type": "http"}, asyncio.Event().wait, send)  # type: ignore[arg-type]
        async with relayed.alive(exchange, 0.001):
            await enough.wait()
        await exchange.end(b"data: [DONE]\n\n")
        await exchange.comment(": alive")

    asyncio.run(run())

    start, *comments, last = sent
    assert start["status"] == 200
    assert {comment["body"] for comment in comments} == {b": alive\n\n"}
    assert last["body"] == b"data: [DONE]\n\n"


def test_a_wait_that_is_over_says_why_and_one_that_ends_well_says_nothing():
    async def why() -> str:
        return "it fell"

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async def run() -> None:
        with pytest.raises(UpstreamUnreachable, match="it fell"):
            async with relayed.unless(why()):
                await asyncio.Event().wait()
        async with relayed.unless(never()):
            await asyncio.sleep(0)

    asyncio.run(run())


@pytest.mark.parametrize(
    "private", [5, [1], {"emitted": 5}, {"emitted": [1, -1]}, {"emitted": [True]}, {"emitted": "1"}]
)
def test_tokens_that_are_none_are_refused(private: Any):
    with pytest.raises(RequestRefused):
        relayed.split(json.dumps(STREAM | {"cidermill": private}).encode())


def test_a_body_without_the_field_is_handed_on_as_it_came():
    assert relayed.split(b" {not JSON") == ((), b" {not JSON")
