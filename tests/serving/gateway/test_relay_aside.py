"""What the relay tells the door past LiteLLM, and prompts that are counted instead of answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.gateway.aside import Aside, Refusal, Word
from tests.serving.endpoint.clients import HELLO, Client
from tests.serving.gateway.endpoints import HE, STREAM, Answer, Reset, Scripted, relaying, served
from tests.serving.speaking import said

BUSY = {"message": "busy", "type": "rate_limit_error", "param": None, "code": "queue_full"}
LONG = {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}


def heard(body: Any, *scripts: Scripted, count: bool = False, wait_seconds: int = 30) -> tuple[Word, Client]:
    """The word of a request when it is over, and what was answered."""
    aside = Aside()

    async def run() -> tuple[Word, Client]:
        replicas = [served(script.name, script.port, wait_seconds=wait_seconds) for script in scripts]
        with aside.opened() as word:
            async with relaying(*replicas, aside=aside) as relay:
                more = {"x_cidermill_count": "1"} if count else {}
                return word, await relay.ask(body, x_cidermill_request=word.name, **more).over()

    return asyncio.run(run())


@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
def test_who_answers_and_how_long_the_prompt_is_are_told(a: Scripted, body: dict[str, Any]):
    last = {**HE, "choices": [{**HE["choices"][0], "finish_reason": "stop"}]}
    a.plan(": prompt 17", *said(HE, done=False), ': stopped by "a \\"b\\""', *said(last))
    word, client = heard(body, a)

    assert (word.asked, word.replica, word.prompt_tokens, word.refusal) == (True, "a", 17, None)
    assert word.stopped_by == 'a "b"'
    assert b"stopped by" not in client.content


@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("status", "error", "headers", "again"),
    [(429, BUSY, {"retry-after": "7"}, "7"), (400, LONG, {}, None)],
    ids=["busy", "too long"],
)
def test_a_refusal_is_told_word_for_word(
    a: Scripted, body: dict[str, Any], status: int, error: dict[str, Any], headers: dict[str, str], again: str | None
):
    a.refuse(status, error, **headers)
    word, client = heard(body, a)

    assert client.status == status
    assert word.refusal == Refusal(status, error, again)


def test_an_answer_that_is_given_up_is_told_even_when_its_status_has_gone(a: Scripted):
    a.plan(*said(HE, done=False), Reset())
    a.always = Answer([*said({**HE, "cidermill": {"tokens": [9]}})])
    word, client = heard(STREAM, a)

    assert client.status == 200
    assert word.refusal is not None
    assert (word.refusal.status, word.refusal.error["type"]) == (502, "server_error")


def test_what_is_said_of_a_request_that_nobody_waits_for_is_not_kept():
    aside = Aside()
    with aside.opened() as word:
        aside.word(word.name).replica = "a"
    aside.word(word.name).replica = "b"
    aside.word(None).replica = "c"

    assert word.replica == "a"
    assert aside.word(word.name).replica is None


def counted(*scripts: Scripted, tokens: int = 0) -> tuple[Word, Client]:
    for script in scripts:
        script.always = script.always or Answer([f'{{"input_tokens": {tokens}}}'])
    return heard(HELLO | {"max_tokens": 1, "stream": False}, *scripts, count=True, wait_seconds=1)


def test_a_prompt_is_counted_by_an_endpoint_and_costs_nothing(a: Scripted):
    word, client = counted(a, tokens=42)

    assert (word.counted, client.status) == (42, 200)
    assert set(client.json["usage"].values()) == {0}
    assert a.asked == [HELLO | {"max_tokens": 1}]


def test_one_that_cannot_count_is_left_for_another(a: Scripted, b: Scripted):
    a.always = Answer([Reset()])

    assert counted(a, b, tokens=42)[0].counted == 42


def test_a_replica_that_is_not_ready_can_count(a: Scripted):
    a.ready = False

    assert counted(a, tokens=42)[0].counted == 42


def test_a_prompt_that_cannot_be_read_is_refused_as_the_endpoint_says(a: Scripted):
    a.always = Answer(status=400, error=LONG)
    word, client = counted(a)

    assert (client.status, word.refusal) == (400, Refusal(400, LONG))


def test_where_nobody_can_count_it_is_said(a: Scripted):
    a.always = Answer([Reset()])
    word, client = counted(a)

    assert (client.status, word.counted) == (503, None)
    assert "none of the replicas 'a' answers" in client.json["error"]["message"]
