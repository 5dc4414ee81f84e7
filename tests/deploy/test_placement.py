"""Placement by the true deploy: layers by unequal memory, three machines of one replica, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.anatomy.reading import from_directory
from serving.anatomy.values import Anatomy
from tests.deploy.running import agent, deploy, replica_until
from tests.deploy.test_road import asked
from tests.standin.fault import change, restore
from tests.standin.lab import Lab
from tests.standin.snapshot import differing
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

pytestmark = pytest.mark.lab

GIB = 2**30
MINI = "Apple M4 Pro"


@pytest.fixture
def other_macs(lab: Lab) -> Iterator[Callable[..., None]]:
    """Give a Mac other hardware, until the test is over."""
    before: list[tuple[str, dict[str, Any]]] = []

    def exchange(name: str, **fields: Any) -> None:
        before.append((name, fields))
        change(lab, name, fields)

    yield exchange
    for name, fields in before:
        restore(lab, name, fields)


@pytest.fixture(scope="module")
def weights() -> Anatomy:
    return from_directory(PATH).anatomy([3])


def ranks(first: str) -> list[dict[str, Any]]:
    """What the ranks of a replica that is ready say of themselves, in rank order."""
    replica = replica_until(first, "ready")
    return [report["status"] for report in replica["ranks"].values()]


def golden(first: str) -> str:
    """What the endpoint on a machine says to the golden question."""
    answer = agent(first, "/v1/chat/completions", **asked(GOLDEN_QUESTION))
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"].strip()


@pytest.mark.usefixtures("restored")
def test_layers_by_memory_are_decided_from_what_the_macs_have_formed_and_answer(
    other_macs: Callable[..., None], variant: Callable[..., Path], weights: Anatomy
):
    other_macs("mac-3", chip=MINI, memory_bytes=64 * GIB)
    other_macs("mac-4", chip=MINI, memory_bytes=24 * GIB)
    declared = {
        "machines__2__chip": MINI,
        "machines__2__memory_gb": 64,
        "machines__3__chip": MINI,
        "machines__3__memory_gb": 24,
    }
    run = deploy(variant(**declared, replicas__1__pipeline_layers="by memory"))

    assert run.code == 0, run.output
    assert "of weights in rank order, 9 + 3 layers" in run.output
    held = ranks("mac-3")
    assert [rank["layers"] for rank in held] == [[3, 12], [0, 3]]
    of_layers = [sum(layer.bytes for layer in weights.layers[first:end]) for first, end in ((3, 12), (0, 3))]
    needed = [weights.outside_bytes + size for size in of_layers]
    assert [rank["weights_bytes"] for rank in held] == pytest.approx(needed, rel=0.01)
    assert golden("mac-3") == GOLDEN_ANSWER


@pytest.mark.usefixtures("deployed")
def test_weights_that_do_not_fit_in_the_memory_that_a_mac_reports_are_refused_and_nothing_differs(
    other_macs: Callable[..., None],
    variant: Callable[..., Path],
    trees: Callable[[], dict[str, str]],
):
    other_macs("mac-2", memory_bytes=8 * GIB)
    before = trees()
    much = {"replicas__0__context_tokens": 32768, "replicas__0__slots": 64}
    run = deploy(variant(machines__1__memory_gb=8, **much))

    assert run.code == 1
    said = " ".join(run.output.split())
    assert "mac-2: memory for the weights: 8 GB let the GPU wire 6.4 GB" in said
    assert "32768 tokens in each of 64 slots" in said
    assert "The nearest that works: machines [mac-1]. Or: context_tokens=25344. Or: slots=50." in said
    assert "mac-1: memory for the weights" not in said
    assert "Traceback" not in run.output
    assert differing(before, trees()) == {}


@pytest.mark.usefixtures("deployed")
def test_layers_that_are_not_those_of_the_weights_are_refused_and_nothing_differs(
    variant: Callable[..., Path], trees: Callable[[], dict[str, str]]
):
    before = trees()
    run = deploy(variant(replicas__1__pipeline_layers=[7, 6]))

    assert run.code == 1
    said = " ".join(run.output.split())
    assert "mac-3: split of the weights: [7, 6] are 13 layers, 'cider-1' has 12" in said
    assert "pipeline_layers='by memory', which is [6, 6]" in said
    assert differing(before, trees()) == {}


@pytest.mark.long
@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("sharding", ["tensor", "pipeline"])
def test_three_machines_of_one_replica_hold_what_was_expected_and_answer(
    variant: Callable[..., Path], weights: Anatomy, sharding: str
):
    three = {
        "name": "a",
        "machines": ["mac-1", "mac-2", "mac-3"],
        "weights": "cider-1",
        "transport": "ring",
        "sharding": sharding,
        "context_tokens": 4096,
        "slots": 8,
        "ready_within_seconds": 240,
    }
    run = deploy(variant(replicas=[three]))

    assert run.code == 0, run.output
    held = ranks("mac-1")
    by_layers = weights.outside_bytes + weights.layers[0].bytes * len(weights.layers) // 3
    needed = weights.tensor[3].bytes if sharding == "tensor" else by_layers
    assert [rank["size"] for rank in held] == [3, 3, 3]
    assert [rank["weights_bytes"] for rank in held] == pytest.approx([needed] * 3, rel=0.01)
    assert golden("mac-1") == GOLDEN_ANSWER
