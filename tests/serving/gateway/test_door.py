"""The daemon as launchd starts it: LiteLLM in front, the relay beneath, and two endpoints that say what is wanted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.plain import PLAIN
from tests.serving.declarations import backend
from tests.serving.gateway.elsewhere import Elsewhere, answering
from tests.serving.gateway.endpoints import HE, HELLO_WHOLE, Answer, Line, Reset, Scripted, endpoint, served
from tests.serving.gateway.running import KEY, Running, running
from tests.serving.speaking import chat, made_of, said
from tests.serving.waiting import wait_until

ASKED: dict[str, Any] = {"model": "cider-1", "messages": [{"role": "user", "content": "Hello"}]}
BEGUN: list[Line] = said(HE, done=False)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Scripted, Scripted]]:
    with endpoint("a") as a, endpoint("b") as b:
        yield a, b


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with answering() as script:
        yield script


@pytest.fixture(scope="module")
def gateway(
    both: tuple[Scripted, Scripted], elsewhere: Elsewhere, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    replicas, directory = [served(script.name, script.port) for script in both], tmp_path_factory.mktemp("gateway")
    theirs = {elsewhere.declared(): "of-the-backend"}
    with running(directory, replicas, external=theirs, gateway__external=[backend()]) as gateway:
        yield gateway


@pytest.fixture
def a(both: tuple[Scripted, Scripted]) -> Scripted:
    return both[0].afresh()


@pytest.fixture
def b(both: tuple[Scripted, Scripted]) -> Scripted:
    return both[1].afresh()


@pytest.fixture
def client(gateway: Running) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, timeout=60)


def whole(client: OpenAI) -> str:
    return client.chat.completions.create(**ASKED).choices[0].message.content or ""


def streamed(client: OpenAI) -> str:
    chunks = client.chat.completions.create(**ASKED, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize("breaking", [[], [Reset()], BEGUN, [*BEGUN, Reset()]], ids=["nothing", "reset", "end", "cut"])
def test_a_client_of_the_gateway_sees_nothing_of_an_endpoint_that_breaks_off(
    client: OpenAI, a: Scripted, b: Scripted, ask: Any, breaking: list[Line]
):
    for script in (a, b):
        script.plan(*breaking)

    assert ask(client) == "Hello"


def test_a_client_waits_while_no_replica_is_ready(client: OpenAI, a: Scripted, b: Scripted):
    a.ready = b.ready = False
    seen = a.looks, b.looks
    wait_until(lambda: a.looks > seen[0] + 1 and b.looks > seen[1] + 1)
    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask, client) for ask in (whole, streamed)]
        b.ready = True

        assert [each.result() for each in asking] == ["Hello", "Hello"]


def test_a_stream_that_cannot_be_continued_ends_with_an_error_for_the_client(client: OpenAI, a: Scripted, b: Scripted):
    for script in (a, b):
        script.plan(*BEGUN, Reset())
        script.always = Answer([*said(made_of(chat(content="Good day"), 1, 2))])

    with pytest.raises(openai.APIError):
        streamed(client)


def test_a_fault_of_the_request_is_a_400_with_the_endpoints_words(client: OpenAI, a: Scripted, b: Scripted):
    fault = {"message": "cannot use 'stop'", "type": "invalid_request_error", "param": "stop", "code": None}
    for script in (a, b):
        script.always = Answer(status=400, error=fault, headers={"content-type": "application/json"})

    with pytest.raises(openai.BadRequestError, match="cannot use 'stop'"):
        whole(client)


def test_full_replicas_are_a_429(client: OpenAI, a: Scripted, b: Scripted):
    fault = {"message": "busy", "type": "rate_limit_error", "param": None, "code": "queue_full"}
    for script in (a, b):
        script.always = Answer(status=429, error=fault, headers={"retry-after": "7"})

    with pytest.raises(openai.RateLimitError) as refused:
        whole(client)
    assert refused.value.response.headers["retry-after"] == "7"
    # One that was not seen ready yet, on a machine with other things to do, is not asked at all.
    assert max(len(a.asked), len(b.asked)) == 1


def test_more_requests_are_held_than_litellm_would_connect_by_itself(client: OpenAI, a: Scripted, b: Scripted):
    go_on = threading.Event()
    a.always = b.always = Answer([go_on, *HELLO_WHOLE])
    with ThreadPoolExecutor(24) as pool:
        asking = [pool.submit(whole, client) for _ in range(24)]
        wait_until(lambda: len(a.asked) + len(b.asked) == 24)
        go_on.set()

        assert {each.result() for each in asking} == {"Hello"}


def test_a_backend_that_is_none_of_ours_answers_by_its_name_and_the_client_sees_who_it_was(
    client: OpenAI, elsewhere: Elsewhere
):
    answer = client.chat.completions.with_raw_response.create(**{**ASKED, "model": "big"})
    ((_, key, asked),) = elsewhere.asked

    assert answer.parse().choices[0].message.content == "Good day"
    assert (key, asked["model"]) == ("Bearer of-the-backend", "qwen3:30b")
    assert answer.headers["x-cidermill-replica"] == "external:big"


def test_the_relay_is_nobodys_without_the_clusters_token(gateway: Running):
    answer = httpx.post(f"http://127.0.0.1:{gateway.relay_port}/v1/chat/completions", json=ASKED, **PLAIN)

    assert answer.status_code == 401


def test_what_was_let_in_is_answered_before_the_gateway_ends(
    client: OpenAI, gateway: Running, a: Scripted, b: Scripted
):
    go_on = threading.Event()
    a.always = b.always = Answer([go_on, *HELLO_WHOLE])
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(streamed, client)
        wait_until(lambda: len(a.asked) + len(b.asked) == 1)
        gateway.process.terminate()  # no test comes after this one
        wait_until(lambda: _refuses(gateway.port))
        go_on.set()

        assert asking.result() == "Hello"
    assert gateway.process.wait(60) == 0


def _refuses(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) != 0
