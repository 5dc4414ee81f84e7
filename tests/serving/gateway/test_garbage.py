"""Garbage of the gateway's process: it is collected, and only where that can hurt nobody."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from serving.gateway.garbage import collect, due


class Left:
    """Something that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("as_before")
def test_garbage_is_collected_between_the_steps_of_the_loop_and_by_nobody_else():
    async def collected_by_whom() -> tuple[bool, bool]:
        collecting = asyncio.create_task(collect())
        await asyncio.sleep(0)
        left = weakref.ref(Left())
        held = [[] for _ in range(100_000)]  # the automatic collection would come many times
        automatic, held = left() is None, []
        while left() is not None:
            held += [[] for _ in range(1000)]
            await asyncio.sleep(0.01)
        collecting.cancel()
        return automatic, gc.isenabled()

    assert asyncio.run(collected_by_whom()) == (False, False)


@pytest.mark.parametrize(
    ("count", "generation"),
    [((700, 10, 10), None), ((701, 10, 10), 0), ((701, 11, 10), 1), ((0, 0, 11), 2)],
)
def test_the_oldest_generation_that_has_grown_enough_is_due(count: tuple[int, ...], generation: int | None):
    assert due(count, (700, 10, 10)) == generation
