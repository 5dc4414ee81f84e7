"""The bench on the stand-ins: it comes to its end, tells measured beside expected, and plans rest on it afterwards."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.running import ROOT, STANDIN, Run, agent, cidermill, examined

pytestmark = [pytest.mark.lab, pytest.mark.long]

RECEIPTS = ROOT / ".cidermill" / "standin.receipts"
SECONDS = 700
"""Two replicas, each in about two minutes where a token takes a tenth of a second, and as long again for patience."""


@pytest.fixture(scope="module")
def benched(deployed: Run) -> Iterator[Run]:
    """One bench; what it leaves is taken away, so that no other test is told to measure again."""
    shutil.rmtree(RECEIPTS, ignore_errors=True)
    yield cidermill("bench", STANDIN, seconds=SECONDS)
    shutil.rmtree(RECEIPTS, ignore_errors=True)


def test_both_replicas_are_measured_and_told_beside_what_is_expected(benched: Run):
    (path,) = RECEIPTS.glob("*.json")
    receipt = json.loads(path.read_text())
    points = [point for replica in receipt["replicas"] for point in replica["points"]]

    assert benched.code == 0, benched.output
    assert [replica["name"] for replica in receipt["replicas"]] == ["a", "b"]
    assert receipt["not_measured"] == {}
    assert all(point["expected"]["tokens_per_second"] > 0 for point in points)
    for replica in receipt["replicas"]:
        several = {point["sequences"] for point in replica["points"]} - {1}
        assert several or any("at once: a step would take" in note for note in replica["notes"])
    assert re.search(r"^a +\d+ +1 +[\d.]+ ±\d+% +[\d.]+ ", benched.output, re.MULTILINE), benched.output
    assert "over the cable between mac-1 and mac-2" in benched.output


def test_a_receipt_says_what_was_measured_and_on_what(benched: Run):
    (path,) = RECEIPTS.glob("*.json")
    first, second = json.loads(path.read_text())["replicas"]

    assert (first["sharding"], second["sharding"]) == ("tensor", "pipeline")
    assert sum(second["layers"]) == 12
    for replica, macs in ((first, ["mac-1", "mac-2"]), (second, ["mac-3", "mac-4"])):
        assert [machine["name"] for machine in replica["machines"]] == macs
        assert {machine["build"] for machine in replica["machines"]} == {"25D125"}
        assert [cable["speed"] for cable in replica["cables"]] == ["80 Gb/s"]
        assert (replica["mlx"], replica["mlx_lm"]) == ("0.32.4", "0.32.2")
        told = agent(macs[0], "/state").json()["replica"]["ranks"][macs[0]]["status"]
        assert (replica["digest"], replica["collective"]) == (told["digest"], told["collective"])


def test_no_replica_was_taken_for_frozen_meanwhile(benched: Run):
    for first in ("mac-1", "mac-3"):
        replica = agent(first, "/state").json()["replica"]

        assert (replica["state"], replica["restarts"]) == ("ready", 0), replica["reason"]


def test_the_next_plan_says_that_it_rests_on_what_was_measured(benched: Run):
    run = cidermill("plan", STANDIN, "--json")
    a, b = json.loads(run.output)

    for document, how in ((a, "tensor over 2"), (b, "pipeline over 2")):
        choice = next(each for each in document["choices"] if each["how"] == how)
        assert choice["expected"]["rests_on"].startswith("measured here on ")


def test_the_doctor_is_content_with_a_fresh_receipt_and_tells_of_a_damaged_one(benched: Run):
    assert examined() == (0, [])

    damaged = Path(RECEIPTS / "1999.json")
    damaged.write_text("{")
    code, (finding,) = examined()
    damaged.unlink()
    assert (code, finding["check"], finding["severity"]) == (0, "receipt", "note")
    assert "1999.json" in finding["seen"]
