"""A deployed lab to put faults into: the stand-ins of the inventory, as they are."""

from __future__ import annotations

import asyncio

import pytest

from tests.deploy.running import STANDIN, Run
from tests.faults.load import answers
from tests.faults.scene import REPLICAS, Scene
from tests.faults.trial import Manner
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
