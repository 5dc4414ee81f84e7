"""Whatever is sent to a replica of two real ranks, it answers as it should, and goes on as the same processes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.serving.agents import ADDRESSES, AGENT_PORT, TOKEN, Pair, pair
from tests.serving.endpoint.poison import CHAT, ROWS, Row
from tests.serving.endpoint.wire import sent
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION

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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_request_gets_its_answer(row: Row):
    answer = sent(DOOR, row.wire(TOKEN))

    assert (answer.status, answer.body) == (row.status, answer.body), answer
    assert row.word in answer.body
    if row.status >= 400 and "application/json" in answer.head.lower():
        assert set(json.loads(answer.body)["error"]) == {"message", "type", "param", "code"}
