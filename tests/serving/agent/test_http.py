from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from serving.agent.http import application
from serving.api import AgentState
from serving.conductor.conducting import Conducting
from serving.endpoint.upstream import Upstream
from serving.errors import StartRefused
from tests.serving.replicas import machine, replica

AGREEMENT = machine(0).agreement
ORDER = {"agreement": AGREEMENT, "generation": 4}
TOKEN = {"Authorization": "Bearer sesame"}


class Keeper:
    """Writes down what it is told; refuses generation 13."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def state(self) -> AgentState:
        return machine(0)

    async def start(self, generation: int) -> None:
        if generation == 13:
            raise StartRefused("cannot start generation 13: it lives.")
        self.told.append(f"start {generation}")

    async def let_in(self, generation: int) -> None:
        self.told.append(f"let in {generation}")

    async def stop(self) -> None:
        self.told.append("stop")


@asynccontextmanager
async def nothing_else(_: Starlette) -> AsyncGenerator[None, None]:
    yield


def called(
    method: str, path: str, keeper: Keeper | None = None, conducting: Conducting | None = None, **options: Any
) -> httpx.Response:
    app = application(keeper or Keeper(), conducting, "sesame", nothing_else)

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
            return await client.request(method, path, **({"headers": TOKEN} | options))

    return asyncio.run(call())


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/state"), ("DELETE", "/rank"), ("PUT", "/replica/drain"), ("GET", "/nowhere")]
)
def test_nothing_is_told_or_done_without_the_token(method: str, path: str, headers: dict[str, str]):
    keeper = Keeper()

    assert called(method, path, keeper, headers=headers).status_code == 401
    assert keeper.told == []


def test_a_sign_of_life_needs_no_token():
    assert called("GET", "/live", headers={}).text == "alive\n"


def test_the_state_is_the_contract():
    response = called("GET", "/state")

    assert AgentState.model_validate_json(response.content) == machine(0)


def test_the_rank_is_started_let_in_and_stopped():
    keeper = Keeper()

    statuses = [
        called("POST", "/rank", keeper, json=ORDER).status_code,
        called("POST", "/rank/join", keeper, json=ORDER).status_code,
        called("DELETE", "/rank", keeper, json={"agreement": AGREEMENT}).status_code,
    ]

    assert statuses == [202, 202, 202]
    assert keeper.told == ["start 4", "let in 4", "stop"]


def test_a_refusal_is_a_conflict_with_its_reason():
    response = called("POST", "/rank", json=ORDER | {"generation": 13})

    assert (response.status_code, response.text) == (409, "cannot start generation 13: it lives.")


@pytest.mark.parametrize(("method", "path"), [("POST", "/rank"), ("POST", "/rank/join"), ("DELETE", "/rank")])
def test_the_conductor_of_another_configuration_is_not_obeyed(method: str, path: str):
    keeper = Keeper()
    order = ORDER if method == "POST" else {}

    response = called(method, path, keeper, json=order | {"agreement": "another"})

    assert (response.status_code, response.text) == (409, "mac-1 belongs to another configuration, release r1.")
    assert keeper.told == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"generation": 4}',
        '{"agreement": "x", "generation": "4"}',
        '{"agreement": "x", "generation": 4, "more": 1}',
    ],
)
def test_a_body_that_is_not_the_contract_is_refused(content: str):
    assert called("POST", "/rank", content=content).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ready"),
        ("POST", "/replica/afresh"),
        ("PUT", "/replica/drain"),
        ("DELETE", "/replica/drain"),
        ("POST", "/replica/speed"),
    ],
)
def test_a_machine_that_conducts_nothing_says_so(method: str, path: str):
    assert called(method, path).status_code == 404


def test_a_replica_that_is_not_ready_says_what_it_is(tmp_path: Path):
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)

    response = called("GET", "/ready", conducting=conducting)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json()["error"]["message"] == "replica 'a' is absent."


def test_a_replica_is_drained_and_readmitted_by_order(tmp_path: Path):
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)

    drained = called("PUT", "/replica/drain", conducting=conducting, json={"by": "deploy", "seconds": 60})
    assert "drained by 'deploy' until" in conducting.state.notice
    assert conducting.state.drained_by == ("deploy",)
    readmitted = called("DELETE", "/replica/drain", conducting=conducting, json={"by": "deploy"})
    assert conducting.state.notice == ""
    assert (drained.status_code, readmitted.status_code) == (202, 202)


@pytest.mark.parametrize(
    ("method", "order"),
    [
        ("PUT", {}),
        ("PUT", {"by": "deploy"}),
        ("PUT", {"by": "", "seconds": 60}),
        ("PUT", {"by": "deploy\n", "seconds": 60}),
        ("PUT", {"by": "deploy", "seconds": 0}),
        ("PUT", {"by": "deploy", "seconds": 1e9}),
        ("DELETE", {}),
        ("DELETE", {"by": "no spaces"}),
    ],
)
def test_an_order_to_drain_that_is_not_the_contract_is_refused(method: str, order: dict[str, Any], tmp_path: Path):
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)

    assert called(method, "/replica/drain", conducting=conducting, json=order).status_code == 400
    assert conducting.state.notice == ""


def test_a_drain_that_cannot_be_written_down_is_a_conflict_with_its_reason(tmp_path: Path):
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)
    (tmp_path / "drains.json.new").mkdir()

    response = called("PUT", "/replica/drain", conducting=conducting, json={"by": "deploy", "seconds": 60})

    assert (response.status_code, "Make room there" in response.text) == (409, True)


def test_the_speed_of_a_replica_that_is_not_ready_cannot_be_told(tmp_path: Path):
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)

    response = called("POST", "/replica/speed", conducting=conducting)

    assert (response.status_code, "it is absent" in response.text) == (409, True)


def test_ready_or_not_it_says_which_weights_it_speaks_of(tmp_path: Path):
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)

    assert called("GET", "/ready", conducting=conducting).headers["x-cidermill-weights"] == "d1"


def test_ready_or_not_it_says_which_start_of_the_ranks_it_speaks_of(tmp_path: Path):
    (tmp_path / "generation").write_text("7")
    conducting = Conducting(replica(), [Keeper(), Keeper()], Upstream(replica()), tmp_path)

    assert called("GET", "/ready", conducting=conducting).headers["x-cidermill-generation"] == "7"
