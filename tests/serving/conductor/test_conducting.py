"""The loop that drives a replica, with keepers whose ranks take a step whenever they are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.api import AgentState, StateName, agreement
from serving.conductor.conducting import Conducting
from serving.configuration import ReplicaConfiguration
from serving.endpoint.upstream import Upstream
from serving.errors import AgentUnreachable, CidermillError, StartRefused
from serving.rank.status import Phase
from tests.serving.replicas import gone, living, machine, replica
from tests.serving.speaking import Script, chat, speaking

NEXT: dict[Phase, Phase] = {"checking": "checked", "loading": "serving"}


class Keeper:
    """An imagined machine."""

    def __init__(self, rank: int, told: ReplicaConfiguration) -> None:
        self._rank = rank
        self._agreement = agreement(told)
        self._generation = 0
        self._phase: Phase = "checking"
        self.answers = True
        self.refuses = False
        self.living = False
        self.begun: list[int] = []

    async def state(self) -> AgentState:
        if not self.answers:
            raise AgentUnreachable("nobody there")
        self._phase = NEXT.get(self._phase, self._phase)
        return self._said().model_copy(update={"agreement": self._agreement})

    async def start(self, generation: int) -> None:
        if self.refuses:
            raise StartRefused("not now")
        if generation == self._generation:
            return
        self._generation, self._phase, self.living = generation, "checking", True
        self.begun.append(generation)

    async def let_in(self, generation: int) -> None:
        assert generation == self._generation
        self._phase = "loading"

    async def stop(self) -> None:
        self.living = False

    def _said(self) -> AgentState:
        if self._generation == 0:
            return machine(self._rank)
        if not self.living:
            return gone(self._rank, 1, self._generation)
        return living(self._rank, self._phase, self._generation)


class Stage:
    """Two such machines, what mlx-lm says, and the loop."""

    def __init__(self, script: Script, directory: Path) -> None:
        told = replica(rank_port=script.port)
        self.keepers = (Keeper(0, told), Keeper(1, told))
        self.conducting = Conducting(told, self.keepers, Upstream(told), directory, period_seconds=0.02)

    async def until(self, state: StateName, *, generation: int = 0, reason: str = "") -> None:
        running = asyncio.create_task(self.conducting.run())
        async with asyncio.timeout(20):
            while not self._is(state, generation, reason):  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.01)
        running.cancel()

    def _is(self, state: StateName, generation: int, reason: str) -> bool:
        now = self.conducting.state
        return now.state == state and now.generation >= generation and reason in now.reason


@pytest.fixture
def script() -> Iterator[Script]:
    with speaking() as script:
        script.say(chat(content="Me, "), chat("stop", content="who else"))
        yield script


@pytest.fixture
def stage(script: Script, tmp_path: Path) -> Stage:
    return Stage(script, tmp_path)


def test_a_replica_becomes_ready_by_its_golden_answer(stage: Stage, script: Script):
    asyncio.run(stage.until("ready"))

    assert [keeper.begun for keeper in stage.keepers] == [[1], [1]]
    ((path, asked),) = script.asked
    assert path == "/v1/chat/completions"
    assert (asked["messages"], asked["temperature"]) == ([{"role": "user", "content": "Who?"}], 0)
    assert asked["max_tokens"] == 18


def test_a_wrong_answer_is_told_with_what_was_needed(stage: Stage, script: Script):
    script.say(chat("stop", content="You"))
    asyncio.run(stage.until("broken"))

    state = stage.conducting.state
    assert "asked 'Who?', seen 'You', needed an answer that begins with 'Me'" in state.reason
    assert [keeper.begun for keeper in stage.keepers] == [[1, 2, 3], [1, 2, 3]]


def test_a_lost_rank_makes_all_begin_again(stage: Stage):
    async def lose_one() -> None:
        await stage.until("ready")
        stage.keepers[1].living = False
        await stage.until("ready", generation=2)

    asyncio.run(lose_one())

    assert stage.conducting.state.restarts == 1
    assert [keeper.begun for keeper in stage.keepers] == [[1, 2], [1, 2]]


def test_a_broken_replica_begins_afresh_when_asked(stage: Stage, script: Script):
    async def ask() -> None:
        script.say(chat("stop", content="You"))
        await stage.until("broken")
        script.say(chat("stop", content="Me"))
        stage.conducting.begin_afresh()
        await stage.until("ready")

    asyncio.run(ask())

    assert stage.conducting.state.restarts == 0


def test_a_machine_that_is_away_is_named_while_it_is_waited_for(stage: Stage):
    stage.keepers[1].answers = False
    asyncio.run(stage.until("absent", reason="mac-2's agent does not answer at 10.0.0.2"))

    assert stage.keepers[0].begun == []


def test_a_generation_number_is_never_used_twice(stage: Stage, script: Script, tmp_path: Path):
    asyncio.run(stage.until("ready"))
    later = Stage(script, tmp_path)
    asyncio.run(later.until("ready"))

    assert later.keepers[0].begun == [2]


def test_a_generation_that_cannot_be_read_is_not_guessed(script: Script, tmp_path: Path):
    (tmp_path / "generation").write_text("many")

    with pytest.raises(CidermillError, match="cannot tell which generation came last"):
        Stage(script, tmp_path)


def test_a_refused_start_is_tried_again(stage: Stage):
    async def refuse_for_a_while() -> None:
        stage.keepers[1].refuses = True
        await stage.until("forming")
        stage.keepers[1].refuses = False
        await stage.until("ready")

    asyncio.run(refuse_for_a_while())

    assert [keeper.begun for keeper in stage.keepers] == [[1], [1]]
