from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.endpoint.admission import Admission, Pace
from serving.errors import QueueFull


class Requests:
    """Requests under way at an admission, in the order they were let in."""

    def __init__(self, slots: int, queue: int) -> None:
        self.admission = Admission(slots, queue)
        self.let_in: list[str] = []
        self.holding: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, key: str = "") -> None:
        self.tasks[name] = asyncio.create_task(self._hold(name, key))
        await settle()

    async def end(self, name: str) -> None:
        self.holding.pop(name).set()
        await settle()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()

    def was_refused(self, name: str) -> bool:
        task = self.tasks[name]
        return task.done() and not task.cancelled() and isinstance(task.exception(), QueueFull)

    async def _hold(self, name: str, key: str) -> None:
        async with self.admission.slot(key):
            self.let_in.append(name)
            self.holding[name] = asyncio.Event()
            try:
                await self.holding[name].wait()
            finally:
                self.holding.pop(name, None)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(play())


def test_as_many_are_let_in_as_there_are_slots():
    async def play() -> None:
        requests = Requests(slots=2, queue=5)
        for name in "abc":
            await requests.come(name)

        assert requests.let_in == ["a", "b"]
        assert (requests.admission.in_flight, requests.admission.waiting) == (2, 1)
        await requests.end("a")
        assert requests.let_in == ["a", "b", "c"]

    run(play)


def test_a_full_queue_refuses():
    async def play() -> None:
        requests = Requests(slots=1, queue=1)
        for name in "abc":
            await requests.come(name)

        assert requests.was_refused("c")
        assert requests.admission.waiting == 1

    run(play)


def test_keys_take_turns_and_each_keeps_its_order():
    async def play() -> None:
        requests = Requests(slots=1, queue=9)
        for name in ("x", "a1", "a2", "a3", "b1", "b2", "c1"):
            await requests.come(name, name[0])
        for name in ("x", "a1", "b1", "c1", "a2", "b2"):
            await requests.end(name)

        assert requests.let_in == ["x", "a1", "b1", "c1", "a2", "b2", "a3"]

    run(play)


def test_a_full_queue_makes_room_for_a_key_that_has_fewer_waiting():
    async def play() -> None:
        requests = Requests(slots=1, queue=3)
        for name in ("x", "a1", "a2", "a3", "b1", "b2"):
            await requests.come(name, name[0])

        assert requests.was_refused("a3")
        assert not requests.was_refused("b1")
        assert requests.was_refused("b2"), "two and one would only change places"
        assert requests.admission.waiting == 3

    run(play)


def test_who_leaves_while_waiting_leaves_the_queue():
    async def play() -> None:
        requests = Requests(slots=1, queue=2)
        for name in "abc":
            await requests.come(name)
        await requests.leave("b")

        assert requests.admission.waiting == 1
        await requests.end("a")
        assert requests.let_in == ["a", "c"]

    run(play)


def test_a_slot_that_is_handed_to_somebody_who_is_leaving_goes_on_to_the_next():
    async def play() -> None:
        requests = Requests(slots=1, queue=2)
        for name in "abc":
            await requests.come(name)
        requests.holding.pop("a").set()
        await asyncio.sleep(0)
        assert requests.admission.waiting == 1
        requests.tasks["b"].cancel()  # it has been handed the slot and has not run since
        await settle()

        assert requests.let_in == ["a", "c"]
        assert requests.admission.in_flight == 1

    run(play)


def test_a_slot_is_free_after_an_error():
    async def play() -> None:
        admission = Admission(1, 0)
        with pytest.raises(ValueError, match="boom"):
            async with admission.slot(""):
                raise ValueError("boom")

        assert admission.in_flight == 0

    run(play)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("abc")),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 99)),
        st.tuples(st.just("end and leave"), st.integers(0, 99)),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 3), st.integers(0, 4))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_slots_and_queue_are_bounded_used_and_given_back(
    steps: list[tuple[str, Any]], slots: int, queue: int
):
    async def play() -> None:
        requests = Requests(slots, queue)
        admission = requests.admission
        for number, (what, argument) in enumerate(steps):
            living = [name for name, task in requests.tasks.items() if not task.done()]
            holding = list(requests.holding)
            if what == "come":
                await requests.come(f"{argument}{number}", argument)
            elif what == "leave" and living:
                await requests.leave(living[argument % len(living)])
            elif what == "end" and holding:
                await requests.end(holding[argument % len(holding)])
            elif what == "end and leave" and holding:
                requests.holding.pop(holding[0]).set()
                await asyncio.sleep(0)
                await requests.leave(living[argument % len(living)])

            assert admission.in_flight == len(requests.holding) <= slots
            assert admission.waiting <= queue
            assert admission.in_flight == slots or admission.waiting == 0

        for task in requests.tasks.values():
            task.cancel()
        await asyncio.gather(*requests.tasks.values(), return_exceptions=True)
        assert (admission.in_flight, admission.waiting) == (0, 0)

    run(play)


@given(st.integers(1, 4), st.lists(st.integers(1, 6), min_size=2, max_size=5))
@settings(max_examples=50, deadline=None)
def test_no_key_is_taken_twice_while_another_waits(slots: int, waiting: list[int]):
    async def play() -> None:
        requests = Requests(slots, queue=99)
        for number in range(slots):
            await requests.come(f"-{number}")
        for key, count in enumerate(waiting):
            for number in range(count):
                await requests.come(f"{key}:{number}", str(key))
        for _ in range(sum(waiting)):
            await requests.end(next(iter(requests.holding)))

        taken = [int(name.split(":")[0]) for name in requests.let_in[slots:]]
        rounds = [[key for key, count in enumerate(waiting) if count > turn] for turn in range(max(waiting))]
        assert taken == [key for turn in rounds for key in turn]
        for task in requests.tasks.values():
            task.cancel()
        await asyncio.gather(*requests.tasks.values(), return_exceptions=True)

    run(play)


def test_those_who_are_turned_away_hear_of_the_pace_of_late():
    pace = Pace(slots=2)

    assert pace.retry_seconds(waiting=8) == 1
    for _ in range(50):
        pace.took(10)
    assert pace.retry_seconds(waiting=3) == 20
    for _ in range(50):
        pace.took(0.1)
    assert pace.retry_seconds(waiting=3) == 1
