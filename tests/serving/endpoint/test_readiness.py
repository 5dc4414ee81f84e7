from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest

from serving.api import StateName
from serving.endpoint.answering import Event
from serving.endpoint.readiness import Idling, Patience, Readiness, Times, idling, watched
from serving.errors import ReplicaUnavailable, UpstreamFailed
from serving.rank.status import Activity, Tick
from tests.serving.endpoint.clients import Conducted

AT_LEISURE = Times(idle=1000, second_look=1000, look=1000)


def looked(*looks: tuple[float, int, Activity]) -> Idling | None:
    idle = None
    for now, steps, activity in looks:
        idle = idling(idle, now, Tick(steps, 0, activity))
    return idle


def test_a_loop_that_goes_round_idle_has_lost_what_it_was_given():
    idle = looked((0, 100, "idle"), (3, 130, "idle"), (6, 160, "idle"))

    assert idle is not None
    assert idle.is_proof(now=6, quiet_since=0, seconds=5)
    assert not idle.is_proof(now=6, quiet_since=2, seconds=5), "something came two seconds ago"


@pytest.mark.parametrize("activity", ["decoding", "prefilling"])
def test_work_in_between_begins_the_idle_time_anew(activity: Activity):
    idle = looked((0, 100, "idle"), (3, 130, activity), (4, 140, "idle"), (6, 160, "idle"))

    assert idle == Idling(4, 140, 160)


def test_a_loop_that_stands_still_proves_nothing():
    idle = looked((0, 100, "idle"), (60, 100, "idle"))

    assert idle is not None
    assert not idle.is_proof(now=60, quiet_since=0, seconds=5)


def test_a_counter_that_begins_anew_is_another_loop():
    assert looked((0, 100, "idle"), (6, 3, "idle")) == Idling(6, 3, 3)


def test_a_rank_without_ticks_proves_nothing():
    assert idling(Idling(0, 0, 100), 6, None) is None


def run(play: Callable[[Conducted], Coroutine[Any, Any, None]], state: StateName = "ready") -> None:
    async def begin() -> None:
        async with asyncio.timeout(20):
            await play(Conducted(state))

    asyncio.run(begin())


def readiness(conducted: Conducted, times: Times = AT_LEISURE) -> Readiness:
    return Readiness(lambda: conducted.now, conducted.changed, times)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_replica_is_waited_for_until_it_is_ready():
    async def play(conducted: Conducted) -> None:
        waiting = asyncio.create_task(readiness(conducted).ready(None))
        for state in ("loading", "warming", "failed", "forming"):
            await settle()
            conducted.become(state)
            assert not waiting.done()
        conducted.become("ready", 4)

        assert await waiting == 4

    run(play, "absent")


def test_a_change_right_after_the_look_is_not_missed():
    async def play(conducted: Conducted) -> None:
        waiting = asyncio.create_task(readiness(conducted).ready(None))
        await asyncio.sleep(0)
        conducted.become("ready")

        assert await waiting == 1

    run(play, "warming")


def test_after_a_failure_another_generation_is_waited_for():
    async def play(conducted: Conducted) -> None:
        waiting = asyncio.create_task(readiness(conducted).ready(1))
        await settle()
        assert not waiting.done()
        conducted.become("failed")
        await settle()
        conducted.become("ready", 2)

        assert await waiting == 2

    run(play)


def test_a_generation_that_stays_ready_after_a_failure_is_asked_again():
    async def play(conducted: Conducted) -> None:
        assert await readiness(conducted, Times(second_look=0.01)).ready(1) == 1

    run(play)


def test_a_broken_replica_is_not_waited_for():
    async def play(conducted: Conducted) -> None:
        waiting = asyncio.create_task(readiness(conducted).ready(None))
        await settle()
        conducted.become("broken", reason="Look at mac-2.")

        with pytest.raises(ReplicaUnavailable, match=r"replica 'a' is broken\. Look at mac-2\."):
            await waiting

    run(play, "failed")


@pytest.mark.parametrize(("state", "generation"), [("failed", 1), ("forming", 2), ("ready", 2), ("broken", 1)])
def test_an_attempt_has_no_future_when_its_generation_is_over(state: StateName, generation: int):
    async def play(conducted: Conducted) -> None:
        lost = asyncio.create_task(readiness(conducted).lost(1, lambda: 0))
        await settle()
        assert not lost.done()
        conducted.become(state, generation)

        assert "fell while it answered" in await lost

    run(play)


def test_an_attempt_has_a_future_while_its_replica_drains():
    async def play(conducted: Conducted) -> None:
        lost = asyncio.create_task(readiness(conducted).lost(1, lambda: 0))
        await settle()
        conducted.become("draining")
        await settle()

        assert not lost.done()
        lost.cancel()

    run(play)


async def endless(closed: asyncio.Event) -> AsyncGenerator[Event, None]:
    try:
        yield ": one"
        await asyncio.Event().wait()
    finally:
        closed.set()


def test_a_silent_attempt_ends_when_it_is_lost():
    async def play(_: Conducted) -> None:
        lost, closed = asyncio.Event(), asyncio.Event()

        async def why(_: Callable[[], float]) -> str:
            await lost.wait()
            return "it fell"

        events = watched(endless(closed), why)
        assert await anext(events) == ": one"
        silent = asyncio.ensure_future(anext(events))
        await settle()
        lost.set()
        with pytest.raises(UpstreamFailed, match="it fell"):
            await silent

        assert closed.is_set()

    run(play)


def test_what_is_lost_between_two_events_ends_at_the_next():
    async def play(_: Conducted) -> None:
        closed = asyncio.Event()

        async def at_once(_: Callable[[], float]) -> str:
            return "it fell"

        events = watched(endless(closed), at_once)
        await anext(events)
        await settle()
        with pytest.raises(UpstreamFailed, match="it fell"):
            await anext(events)

        assert closed.is_set()

    run(play)


def test_who_stops_listening_ends_attempt_and_watch():
    async def play(_: Conducted) -> None:
        closed, unwatched = asyncio.Event(), asyncio.Event()

        async def never(_: Callable[[], float]) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                unwatched.set()
            return ""

        events = watched(endless(closed), never)
        await anext(events)
        await settle()
        await events.aclose()
        await unwatched.wait()

        assert closed.is_set()

    run(play)


def test_several_waits_draw_on_one_budget():
    async def play(conducted: Conducted) -> None:
        patience = Patience(0.05, readiness(conducted))
        await patience.spend(asyncio.sleep(0.05 / 2))
        waited = asyncio.Event()

        async def wait() -> None:
            waited.set()
            await asyncio.Event().wait()

        with pytest.raises(ReplicaUnavailable, match=r"replica 'a' is warming\. It waited 0\.05 s"):
            await patience.spend(wait())
        with pytest.raises(ReplicaUnavailable):
            await patience.spend(asyncio.Event().wait())
        assert waited.is_set()

    run(play, "warming")
