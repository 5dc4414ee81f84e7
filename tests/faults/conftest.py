"""A deployed lab to put faults into: the stand-ins of the inventory, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.deploy.running import STANDIN, Run
from tests.faults.judging import Row, judge
from tests.faults.kinds import KINDS
from tests.faults.load import answers
from tests.faults.scene import REPLICAS, Place, Scene
from tests.faults.trial import Manner, settle, tried
from tests.standin.lab import Lab

CLIENTS = 8
DEADLINE_SECONDS = 120.0


@pytest.fixture(scope="session")
def scene(lab: Lab, deployed: Run) -> Scene:
    """The lab with its two replicas."""
    return Scene(lab, "standin", STANDIN)


@pytest.fixture(scope="session")
def manner(scene: Scene) -> Manner:
    """Eight clients, half of them at the gateway, and the right answers to what they ask."""
    doorways = [scene.gateway(), *(scene.endpoint(name) for name in REPLICAS)]
    needed = asyncio.run(answers(doorways, DEADLINE_SECONDS))
    return Manner(("gateway", "endpoint"), CLIENTS, DEADLINE_SECONDS, needed, cold=False)


@pytest.fixture
def put(scene: Scene, manner: Manner) -> Callable[[str, str, int], Row]:
    """Put a fault in at a rank of a replica that is ready and has all its restarts; the row that it gives."""

    def put(fault: str, replica: str, rank: int) -> Row:
        settle(scene, replica)
        row = judge(asyncio.run(tried(scene, fault, KINDS[fault], Place(replica, rank), manner)))
        print(row)  # its seconds are read, and compared in the command: here they depend on who else computes
        return row

    return put
