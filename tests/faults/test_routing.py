"""A crowd at the gateway while replicas are killed, return, are drained and return: nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.load import Load, loading
from tests.faults.mending import drain, endpoint, readmit, wait_until_away, wait_until_ready
from tests.faults.records import Request
from tests.faults.scene import REPLICAS, Place, Scene
from tests.faults.trial import Manner, settle

pytestmark = [pytest.mark.lab, pytest.mark.long]

REQUESTS = 300
CLIENTS = 20
BETWEEN = 10
"""Requests that are answered between one act and the next, so that each of them meets the crowd."""
DEADLINE_SECONDS = 300.0
LONGEST_SECONDS = 3000.0
PERIOD_SECONDS = 0.2


@pytest.fixture
def ready(scene: Scene) -> Iterator[Scene]:
    """Both replicas ready, with all their restarts; and nothing of ours is left behind."""
    for name in REPLICAS:
        settle(scene, name)
    yield scene
    for name in REPLICAS:
        readmit(scene, name)
        wait_until_ready(scene, name)


def test_no_request_of_a_crowd_fails_while_replicas_are_killed_return_are_drained_and_return(
    ready: Scene, manner: Manner
):
    requests, idle = asyncio.run(_crowded(ready, manner))

    failed = [request for request in requests if request.ending != "answered"]
    assert [f"{request.ending}: {request.said}" for request in failed] == []
    assert len(requests) >= REQUESTS
    # While it was drained none of them came to it.
    assert all(before == after for before, after in idle)


async def _crowded(scene: Scene, manner: Manner) -> tuple[tuple[Request, ...], list[tuple[int, int]]]:
    """All requests of the crowd, and how many each replica had answered when its drain began and when it ended."""
    async with loading([scene.gateway()], manner.needed, CLIENTS, DEADLINE_SECONDS) as load:
        acting = asyncio.create_task(_come_and_go(scene, load))
        async with asyncio.timeout(LONGEST_SECONDS):
            idle = await acting
            await _answered(load, REQUESTS)
            return await load.finish(), idle


async def _come_and_go(scene: Scene, load: Load) -> list[tuple[int, int]]:
    idle: list[tuple[int, int]] = []
    await _answered(load, CLIENTS)
    for name in REPLICAS:
        await asyncio.to_thread(scene.lab.fault, "rank-killed", Place(name, 1).machine)
        await asyncio.to_thread(wait_until_away, scene, name)
        await asyncio.to_thread(wait_until_ready, scene, name)
        await _answered(load, len(load.requests) + BETWEEN)
        idle.append(await _drained(scene, load, name))
        await _answered(load, len(load.requests) + BETWEEN)
    return idle


async def _drained(scene: Scene, load: Load, name: str) -> tuple[int, int]:
    """Drained and readmitted; how many it had answered when its drain began and when it ended."""
    await asyncio.to_thread(drain, scene, name)
    before = await asyncio.to_thread(endpoint, scene, name)
    await _answered(load, len(load.requests) + BETWEEN)
    after = await asyncio.to_thread(endpoint, scene, name)
    await asyncio.to_thread(readmit, scene, name)
    await asyncio.to_thread(wait_until_ready, scene, name)
    return before["requests"]["answered"], after["requests"]["answered"]


async def _answered(load: Load, count: int) -> None:
    """Wait until so many requests are over."""
    while len(load.requests) < count:  # noqa: ASYNC110 - what is looked at has no event
        await asyncio.sleep(PERIOD_SECONDS)
