"""The loop that drives a replica, with keepers whose ranks take a step whenever they are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.api import AgentState, RankReport, StateName, agreement
from serving.conductor.conducting import Conducting
from serving.configuration import ReplicaConfiguration
from serving.endpoint.upstream import Upstream
from serving.errors import AgentUnreachable, CidermillError, StartRefused
from serving.rank.status import Activity, Phase
from tests.serving.replicas import gone, machine, replica, ticking
from tests.serving.speaking import Script, chat, speaking

NEXT: dict[Phase, Phase] = {"checking": "checked", "loading": "serving"}


class Keeper:
    """An imagined machine."""

    def __init__(self, rank: int, told: ReplicaConfiguration) -> None:
        self._rank = rank
        self._agreement = agreement(told)
        self._generation = 0
        self._phase: Phase = "checking"
        self._steps = self._beats = 0
        self.answers = True
        self.hangs = False
        self.steps = True
        self.activity: Activity = "idle"
        self.refuses = False
        self.living = False
        self.begun: list[int] = []

    async def state(self) -> AgentState:
        if self.hangs:
            await asyncio.Event().wait()
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
        self._steps += self.steps
        self._beats += 1
        return machine(self._rank, self._report())

    def _report(self) -> RankReport:
        told = ticking(self._rank, self._steps, self._beats, self.activity, self._phase, self._generation).rank
        assert told is not None
        return told.model_copy(update={"agreement": self._agreement})


class Stage:
    """Two such machines, what mlx-lm says, and the loop."""

    def __init__(self, script: Script, directory: Path, keepers: tuple[Keeper, Keeper] | None = None) -> None:
        told = replica(rank_port=script.port)
        self.keepers = keepers or (Keeper(0, told), Keeper(1, told))
        self.conducting = Conducting(told, self.keepers, Upstream(told), directory, period_seconds=0.02)

    async def conducts(self) -> asyncio.Task[None]:
        """Begin, and come to ready; the loop goes on."""
        running = asyncio.create_task(self.conducting.run())
        async with asyncio.timeout(20):
            while self.conducting.state.state != "ready":
                await self.conducting.changed()
        return running

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


def test_the_same_wrong_answer_twice_is_broken_and_told_with_what_was_needed(stage: Stage, script: Script):
    script.say(chat("stop", content="You"))
    asyncio.run(stage.until("broken"))

    state = stage.conducting.state
    assert "asked 'Who?', seen 'You', needed an answer that begins with 'Me'" in state.reason
    assert [keeper.begun for keeper in stage.keepers] == [[1, 2], [1, 2]]


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


def test_ready_is_confirmed_by_a_step_that_rank_0_takes_after_the_question(stage: Stage):
    async def ask() -> tuple[str, str]:
        running = await stage.conducts()
        moving = await stage.conducting.why_not_ready()
        stage.keepers[0].steps = False
        still = await stage.conducting.why_not_ready()
        running.cancel()
        return moving, still

    moving, still = asyncio.run(ask())

    assert moving == ""
    assert still == "replica 'a' is ready, but rank 0 took no step for 2 seconds."


def test_who_reads_a_long_prompt_is_ready_while_all_are_there(stage: Stage):
    async def ask() -> tuple[str, str]:
        running = await stage.conducts()
        stage.keepers[0].steps, stage.keepers[0].activity = False, "prefilling"
        reading = await stage.conducting.why_not_ready()
        stage.keepers[1].answers = False
        while stage.conducting.state.ranks["mac-2"] is not None:  # noqa: ASYNC110 - its last answer counts for a while
            await asyncio.sleep(0.01)
        waiting = await stage.conducting.why_not_ready()
        running.cancel()
        return reading, waiting

    reading, waiting = asyncio.run(ask())

    assert reading == ""
    assert waiting == "replica 'a' is ready, but rank 0 took no step for 2 seconds."


def test_who_waits_for_a_change_hears_of_the_next_one(stage: Stage):
    async def lose_one() -> StateName:
        running = await stage.conducts()
        stage.keepers[1].living = False
        async with asyncio.timeout(20):
            await stage.conducting.changed()
        running.cancel()
        return stage.conducting.state.state

    assert asyncio.run(lose_one()) == "failed"


def test_a_machine_that_never_answers_keeps_nobody_waiting(stage: Stage):
    stage.keepers[1].hangs = True
    asyncio.run(stage.until("absent", reason="mac-2's agent does not answer at 10.0.0.2"))


def test_a_later_conductor_keeps_the_ranks_that_serve(stage: Stage, script: Script, tmp_path: Path):
    asyncio.run(stage.until("ready"))
    later = Stage(script, tmp_path, stage.keepers)
    asyncio.run(later.until("ready"))

    assert [keeper.begun for keeper in later.keepers] == [[1], [1]]
    assert (later.conducting.state.generation, later.conducting.state.restarts) == (1, 0)
    assert len(script.asked) == 2


def test_a_generation_that_cannot_be_written_down_does_not_start(stage: Stage, tmp_path: Path):
    async def make_room() -> list[int]:
        obstacle = tmp_path / "generation.new"
        obstacle.mkdir()
        await stage.until("absent", reason="Make room there")
        begun = list(stage.keepers[0].begun)
        obstacle.rmdir()
        await stage.until("ready")
        return begun

    assert asyncio.run(make_room()) == []


def test_an_upstream_that_refuses_the_golden_question_is_told(stage: Stage, script: Script):
    script.status, script.error, script.lines = 404, "no template", []
    asyncio.run(stage.until("broken", reason="cannot ask replica 'a' its golden question"))

    assert "no template" in stage.conducting.state.reason


def test_a_replica_that_is_held_back_is_draining_once_it_is_ready_and_its_ranks_go_on(stage: Stage):
    async def drain() -> None:
        stage.conducting.drain("deploy", 60)
        assert stage.conducting.state.state == "absent"
        await stage.until("draining")
        assert "drained by 'deploy'" in await stage.conducting.why_not_ready()
        stage.conducting.readmit("deploy")

        assert stage.conducting.state.state == "ready"

    asyncio.run(drain())

    assert [keeper.begun for keeper in stage.keepers] == [[1], [1]]


def test_whoever_waits_for_a_change_hears_of_a_drain_at_once(stage: Stage):
    async def drain() -> None:
        running = await stage.conducts()
        changed = asyncio.ensure_future(stage.conducting.changed())
        await asyncio.sleep(0)
        stage.conducting.drain("deploy", 60)
        await asyncio.wait_for(changed, 10)

        assert stage.conducting.state.state == "draining"
        running.cancel()

    asyncio.run(drain())


def test_a_drain_that_nobody_renews_ends_with_a_word(stage: Stage, caplog: pytest.LogCaptureFixture):
    async def drain() -> None:
        await stage.until("ready")
        stage.conducting.drain("deploy", 0.1)
        await stage.until("ready")

    asyncio.run(drain())

    assert "no longer drained by 'deploy', who has not renewed it" in caplog.text


def test_an_agent_that_begins_again_still_holds_its_replica_back(stage: Stage, script: Script, tmp_path: Path):
    stage.conducting.drain("deploy", 60)

    assert "deploy" in Stage(script, tmp_path).conducting.state.notice
