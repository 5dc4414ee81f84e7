"""Whatever is sent to a replica of two real ranks, it answers as it should, and goes on as the same processes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from serving.endpoint.counting import Tokenizer
from serving.endpoint.requests import clean
from tests.serving.agents import ADDRESSES, AGENT_PORT, TOKEN, Pair, pair
from tests.serving.endpoint.poison import CHAT, HELLO, KNOWN_TO_HARM, MEBIBYTE, ROWS, Row
from tests.serving.endpoint.wire import Answer, connected, everything, sent
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

DOOR = (ADDRESSES[0], AGENT_PORT)
GOLDEN = {"messages": [{"role": "user", "content": GOLDEN_QUESTION}], "temperature": 0, "max_tokens": 12}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("poison")) as running:
        running.wait(300)  # a machine that is busy with other tests loads slowly
        yield running


@pytest.fixture(scope="module")
def processes(running: Pair) -> list[int]:
    return pids(running)


def pids(running: Pair) -> list[int]:
    return [status.pid for machine in running.machines if (status := machine.rank().status) is not None]


@pytest.fixture(autouse=True)
def unharmed(running: Pair, processes: list[int]) -> Iterator[None]:
    """After each test the next ordinary request is answered, by the processes of before."""
    yield
    answer = running.post(CHAT, GOLDEN)

    assert answer.status_code == 200, answer.text
    content = answer.json()["choices"][0]["message"]["content"]
    assert len(content) > 5
    assert GOLDEN_ANSWER.startswith(content.strip())
    assert pids(running) == processes
    assert len(processes) == 2


GROUPS = [ROWS[start : start + 10] for start in range(0, len(ROWS), 10)]


def test_the_table_is_long_and_each_row_is_told_apart():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len(ROWS) >= len(KNOWN_TO_HARM) + 60


@pytest.mark.parametrize("rows", GROUPS, ids=lambda rows: f"{rows[0].name} and on")
def test_each_request_gets_its_answer(rows: list[Row]):
    wrong = {row.name: fault for row in rows if (fault := against(row, sent(DOOR, row.wire(TOKEN))))}

    assert wrong == {}


def against(row: Row, answer: Answer) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if answer.status != row.status or row.word not in answer.body:
        return f"needed {row.status} {row.word!r}, seen {answer.head} {answer.body[:300]}"
    spoken_by_us = row.status >= 400 and "application/json" in answer.head.lower()
    if spoken_by_us and set(json.loads(answer.body)["error"]) != {"message", "type", "param", "code"}:
        return f"not OpenAI's shape: {answer.body[:300]}"
    return ""


def of(**fields: Any) -> bytes:
    """A sound chat, as bytes for a socket."""
    return Row("sound", json.dumps(HELLO | fields).encode(), 200, "").wire(TOKEN)


def test_a_body_in_chunks_without_a_length_is_read():
    body = json.dumps(HELLO).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[n : n + 1]) for n in range(len(body))) + b"0\r\n\r\n"
    row = Row("chunks", chunks, 200, "", headers={"Content-Length": "", "Transfer-Encoding": "chunked"})

    assert sent(DOOR, row.wire(TOKEN)).status == 200


def test_chunks_without_end_are_cut_off_at_the_limit():
    chunks = b"%x\r\n%b\r\n" % (MEBIBYTE, b" " * MEBIBYTE) * 8
    row = Row("chunks", chunks, 413, "", headers={"Content-Length": "", "Transfer-Encoding": "chunked"})

    assert sent(DOOR, row.wire(TOKEN)).status == 413


def test_chunks_that_are_none_are_refused():
    row = Row("chunks", b"zz\r\n{}\r\n", 400, "", headers={"Content-Length": "", "Transfer-Encoding": "chunked"})

    assert sent(DOOR, row.wire(TOKEN)).status == 400


def test_the_old_protocol_is_answered():
    assert sent(DOOR, of().replace(b"HTTP/1.1", b"HTTP/1.0", 1)).status == 200


def test_requests_sent_all_at_once_are_answered_one_after_the_other():
    pipelined = of().replace(b"Connection: close\r\n", b"")

    with connected(DOOR) as connection:
        connection.sendall(pipelined + pipelined + of())
        answers = everything(connection)

    assert answers.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize(
    ("twice", "status"),
    [
        (b"Content-Length: 5\r\n", 400),
        (b"Host: elsewhere\r\n", 400),
        (b"Authorization: Bearer x\r\n", 401),
    ],
    ids=["length", "host", "token"],
)
def test_a_header_that_comes_twice_smuggles_nothing(twice: bytes, status: int):
    head, _, body = of().partition(b"\r\n")

    assert sent(DOOR, head + b"\r\n" + twice + body).status == status


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 401),
    ],
    ids=["no host", "no request", "TLS", "HTTP/2"],
)
def test_what_is_no_request_is_told_so(wire: bytes, status: int):
    assert sent(DOOR, wire).status == status


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "TRACE", "OPTIONS", "BREW"])
def test_only_what_is_published_can_be_done(method: str):
    assert sent(DOOR, of().replace(b"POST", method.encode(), 1)).status == 405


@pytest.mark.parametrize(
    "path", ["/health", "/v1/modelsx", "//v1/chat/completions", "/v1/chat/completions/../../x", "/" + "x" * 10_000]
)
def test_nothing_of_mlx_lms_own_shines_through(path: str):
    assert sent(DOOR, of().replace(b"/v1/chat/completions", path.encode(), 1)).status == 404


def test_those_who_never_end_their_headers_keep_nobody_waiting(running: Pair):
    with ExitStack() as held:
        for n in range(100):
            held.enter_context(connected(DOOR)).sendall(of()[: 20 + n])

        assert running.post(CHAT, GOLDEN).status_code == 200


def test_those_who_never_end_their_body_keep_nobody_waiting(running: Pair):
    with ExitStack() as held:
        for n in range(1, 100):
            held.enter_context(connected(DOOR)).sendall(of()[:-n] if n < 50 else of()[:-1])

        assert running.post(CHAT, GOLDEN).status_code == 200


@pytest.mark.parametrize("fields", [{"seed": 1}, {"temperature": 1}, {}], ids=["seed", "sampled", "greedy"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_takes_nothing_along(fields: dict[str, Any], stream: bool):
    with connected(DOOR) as connection:
        connection.sendall(of(max_tokens=400, stream=stream, **fields))
        if stream:
            assert connection.recv(1)


def test_two_hundred_clients_that_leave_anywhere_take_nothing_along():
    chance = random.Random(4)  # noqa: S311 - the same places every time
    with ThreadPoolExecutor(20) as clients:
        list(clients.map(leave, [chance.random() for _ in range(200)], [chance.random() for _ in range(200)]))


def leave(place: float, other: float) -> None:
    """Go somewhere between the first byte sent and the last received."""
    wire = of(max_tokens=30, stream=other < 0.7, temperature=int(other * 10) % 2)
    with connected(DOOR) as connection:
        if place < 0.4:
            connection.sendall(wire[: int(len(wire) * place / 0.4)])
            return
        connection.sendall(wire)
        connection.settimeout(place)
        with suppress(TimeoutError, ConnectionError):
            while connection.recv(int(100 * place)) and other > place / 4:
                pass


def test_the_count_of_tokens_is_the_replicas_own(running: Pair):
    usage = running.post(CHAT, GOLDEN).json()["usage"]

    asked = clean("chat", GOLDEN, running.machines[0].configuration.replica or pytest.fail("no replica")).body
    assert usage["prompt_tokens"] == len(Tokenizer(PATH).tokens("chat", asked))
