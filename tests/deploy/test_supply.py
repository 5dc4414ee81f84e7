"""Weights from a hub to stand-in Macs by the true deploy: fetched once, handed on over the cables, served."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.running import ADDRESSES, ROOT, STANDIN, Run, agent, deploy
from tests.deploy.test_road import asked, changes
from tests.serving.supply.hubs import COMMIT, REPOSITORY, Hub, serving
from tests.standin.lab import Lab
from tests.standin.snapshot import differing
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

pytestmark = pytest.mark.lab

LARGE = "model.safetensors"
Serve = Callable[..., Path]


@pytest.fixture
def hub(lab: Lab) -> Iterator[Hub]:
    """A repository with the test weights in other bytes, which no Mac holds yet; the Macs reach it on this machine."""
    files = {path.name: path.read_bytes() for path in PATH.iterdir() if path.is_file()}
    with serving(Hub({LARGE: noted(files.pop(LARGE))}, files), address=lab.files.address) as made:
        yield made


def noted(safetensors: bytes) -> bytes:
    """The same tensors with a note in their header."""
    size = int.from_bytes(safetensors[:8], "little")
    header = json.loads(safetensors[8 : 8 + size])
    header["__metadata__"] = {**header.get("__metadata__", {}), "note": "from a hub"}
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    return len(told).to_bytes(8, "little") + told + safetensors[8 + size :]


@pytest.fixture
def from_hub(hub: Hub, variant: Callable[..., Path], lab: Lab) -> Iterator[Serve]:
    """The stand-in inventory with its weights in that repository; the Macs and this machine forget them afterwards."""
    pinned = ROOT / ".cidermill" / "standin.weights"

    def make(**changes: Any) -> Path:
        declared = {"path": None, "repository": REPOSITORY, "revision": "main", "endpoint": hub.endpoint, **changes}
        told = {name if "__" in name else f"weights__0__{name}": value for name, value in declared.items()}
        return variant(**told)

    shutil.rmtree(pinned, ignore_errors=True)
    before = {name: set(weights(lab, name)) for name in ADDRESSES}
    yield make
    shutil.rmtree(pinned, ignore_errors=True)
    # The inventory is as it was again by now: see `restored`, which every test uses inside of this.
    for name in ADDRESSES:
        for path in set(weights(lab, name)) - before[name]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def back(from_hub: Serve, restored: None) -> None:
    """Whatever was served from the hub, the stand-in inventory is true again before it is forgotten."""


def weights(lab: Lab, name: str) -> list[Path]:
    """What lies where a Mac has its weights."""
    return sorted((lab.root(name) / "opt/cidermill/weights").glob("*"))


def large_files(lab: Lab, name: str) -> set[str]:
    """SHA-256 of each large file that came whole to a Mac, by another road than the deploy's."""
    files = (lab.root(name) / "opt/cidermill/weights").glob(f"*/{LARGE}")
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.parent.suffix != ".partial"}


def from_there(lab: Lab, name: str, hub: Hub) -> Path:
    """The file on a Mac that holds the very bytes of the hub."""
    held = (path / LARGE for path in weights(lab, name))
    return next(path for path in held if path.is_file() and path.read_bytes() == hub.large[LARGE])


def serve_golden() -> dict[str, str]:
    """What each replica answers to the golden question, asked without the gateway."""
    answers = {name: agent(name, "/v1/chat/completions", **asked(GOLDEN_QUESTION)) for name in ("mac-1", "mac-3")}
    return {name: answer.json()["choices"][0]["message"]["content"].strip() for name, answer in answers.items()}


@pytest.mark.usefixtures("back")
def test_weights_of_a_repository_are_fetched_once_handed_on_and_served_and_the_hub_is_not_missed_afterwards(
    lab: Lab, hub: Hub, from_hub: Serve
):
    run = deploy(from_hub())
    served = serve_golden()
    first = {name: from_there(lab, name, hub) for name in ADDRESSES}
    asked_before = len(hub.asked)
    again = deploy(from_hub(endpoint="http://127.0.0.1:9"))
    first["mac-4"].unlink()
    mended = deploy(from_hub(endpoint="http://127.0.0.1:9"))

    assert run.code == 0, run.output
    assert f"at {COMMIT[:12]}" in run.output
    assert "over their cable" in run.output
    assert served == {"mac-1": GOLDEN_ANSWER, "mac-3": GOLDEN_ANSWER}
    assert (again.code, changes(again)) == (0, 0), again.output
    # What one Mac lost it gets from a neighbour.
    assert mended.code == 0, mended.output
    assert first["mac-4"].read_bytes() == hub.large[LARGE]
    assert hub.of_large() == len(hub.large[LARGE])
    assert len(hub.asked) == asked_before


@pytest.mark.long
@pytest.mark.usefixtures("back")
def test_a_fetch_that_is_cut_goes_on_with_the_same_deploy(lab: Lab, hub: Hub, from_hub: Serve):
    hub.cut_at[LARGE] = [len(hub.large[LARGE]) // 2]
    run = deploy(from_hub())

    assert run.code == 0, run.output
    assert "was cut at" in run.output
    assert hub.of_large() <= len(hub.large[LARGE]) + 4 * 2**20


@pytest.mark.usefixtures("back")
def test_a_wrong_file_is_refused_with_both_hashes_and_who_served_serves(lab: Lab, hub: Hub, from_hub: Serve):
    hub.wrong[LARGE] = 2
    run = deploy(from_hub())

    assert run.code == 1
    assert f"cannot use {LARGE} of '{REPOSITORY}' on mac-" in run.output
    assert hashlib.sha256(hub.large[LARGE]).hexdigest() in run.output
    assert "Traceback" not in run.output
    assert serve_golden() == {"mac-1": GOLDEN_ANSWER, "mac-3": GOLDEN_ANSWER}
    right = hashlib.sha256((PATH / LARGE).read_bytes()).hexdigest()
    assert [large_files(lab, name) for name in ADDRESSES] == [{right}] * 4, "those that were there before, no others"


def test_a_hub_that_cannot_be_asked_is_refused_before_anything_changes(
    deployed: Run, from_hub: Serve, trees: Callable[[], dict[str, str]]
):
    before = trees()
    run = deploy(from_hub(endpoint="http://127.0.0.1:9"))

    assert run.code == 1
    assert "cannot ask http://127.0.0.1:9" in run.output
    assert "Traceback" not in run.output
    assert differing(before, trees()) == {}


@pytest.mark.long
@pytest.mark.usefixtures("back")
def test_weights_are_quantised_on_one_mac_once_and_then_served_by_all(lab: Lab, hub: Hub, from_hub: Serve):
    # Nine groups of 32 are not to be had by two.
    inventory = from_hub(quantise="8bit", quantise_group=32, replicas__0__sharding="pipeline")
    first, second, third = deploy(inventory), deploy(inventory), deploy(inventory)

    assert first.code == 0, first.output
    assert "Deploy once more" in first.output
    assert second.code == 0, second.output
    assert (third.code, changes(third)) == (0, 0), third.output
    assert hub.of_large() == len(hub.large[LARGE])
    assert serve_golden() == {"mac-1": GOLDEN_ANSWER, "mac-3": GOLDEN_ANSWER}
    assert not any("-source-" in path.name for name in ADDRESSES for path in weights(lab, name))


def test_the_same_weights_by_path_and_by_repository_are_the_same(deployed: Run, hub: Hub, from_hub: Serve):
    hub.large[LARGE] = (PATH / LARGE).read_bytes()
    run = deploy(from_hub())

    assert (run.code, changes(run)) == (0, 0), run.output
    assert hub.of_large() == 0
    assert deploy(STANDIN).code == 0
