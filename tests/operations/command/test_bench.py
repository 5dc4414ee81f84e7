"""How `cidermill bench` goes about one replica: whom it asks, when it stops, and what it says of what it left."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from serving.configuration import AgentConfiguration
from serving.measuring.sample import Sample
from tests.serving.measuring.receipts import reduction
from tests.serving.replicas import status
from tests.serving.test_plan import agent

GOOD = Sample((250,), (0,), (0.5,), (32,), 50.0)
"""One conversation."""


def several(count: int) -> Sample:
    return Sample((250,) * count, (0,) * count, (0.6,) * count, (32,) * count, 30.0 * count)


def world(*samples: Sample | str, **changes: Any) -> dict[str, Any]:
    """Replica a as all is well with it."""
    agents: AgentConfiguration = agent("m1")
    reports = {
        name: {
            "generation": 1,
            "living": True,
            "status": status(rank, "serving", collective=reduction()).model_dump(mode="json"),
        }
        for rank, name in enumerate(("m1", "m2"))
    }
    conducted = {"name": "a", "state": "ready", "reason": "", "generation": 1, "restarts": 0, "ranks": reports}
    endpoint = {
        **dict.fromkeys(("in_flight", "queued", "held", "prompt_tokens", "completion_tokens", "replayed"), 0),
        "continued": 0,
        "requests": {},
    }
    state = {"machine": "m1", "boot": "b", "release": "agent-0000", "replica": conducted, "endpoint": endpoint}
    told = {
        "agent": agents.model_dump_json(),
        "state": state,
        "samples": [each if isinstance(each, str) else asdict(each) for each in samples],
    }
    return told | changes


def benched(directory: Path, told: dict[str, Any]) -> dict[str, Any]:
    (directory / "world.json").write_text(json.dumps(told))
    command = [sys.executable, "-m", "tests.operations.benched", str(directory)]
    done = run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_one_point_after_the_other_is_asked_of_rank_0_and_the_receipt_says_on_what(tmp_path: Path):
    rounds = [GOOD, GOOD, GOOD, several(4), several(2), several(4), *[GOOD] * 20]
    told = benched(tmp_path, world(*rounds[:6], "ssh ended"))
    measured = told.get("measured")
    assert measured, told

    assert {name for name, _ in told["asked"]} == {"m1"}
    assert max(order["sequences"] for _, order in told["asked"]) <= 4
    assert [machine["build"] for machine in measured["machines"]] == ["25D125"] * 2
    assert [cable["between"] for cable in measured["cables"]] == [["m1", "m2"]]
    assert (measured["digest"], measured["mlx"], measured["collective"]["seconds"]) == ("d1", "0.32.4", 300e-6)
    assert measured["points"][0]["expected"]["tokens_per_second"] > 0
    assert any("ended early" in note and "ssh ended" in note for note in measured["notes"])


def test_a_replica_is_measured_to_its_end_and_what_was_left_out_is_told(tmp_path: Path):
    """A Mac that takes a second for each step of two at once, so that no more are asked."""
    slow = Sample((250, 250), (0, 0), (0.6, 0.6), (8, 8), 1.6)
    told = benched(tmp_path, world(GOOD, GOOD, GOOD, slow, *[GOOD] * 10))

    assert [order["sequences"] for _, order in told["asked"]].count(4) == 0
    assert any("4 at once: a step would take up to 2.5 s" in note for note in told["measured"]["notes"])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"unproven": True}, "nothing was proven to serve it. Deploy first"),
        ({"state": {"problem": "the agent said nothing"}}, "its agent cannot be asked: the agent said nothing"),
        ({"agent": '{"horoscope": "good"}'}, "release agent-0000 on m1 is of another version. Deploy first"),
        (
            {"samples": ["/opt/python: No module named serving.agent.measure"]},
            "ended early, at a first look: its release is older than this command. Deploy first",
        ),
        ({"samples": [{"prompt_tokens": "many"}]}, "the command on the Mac said"),
        ({"samples": [asdict(Sample(problem="it is busy with 2 requests of others"))]}, "it is busy with 2 requests"),
    ],
)
def test_why_a_replica_is_not_measured_is_told(tmp_path: Path, told: dict[str, Any], words: str):
    assert words in benched(tmp_path, world(**told))["why"]


def test_a_replica_that_is_not_ready_is_asked_nothing(tmp_path: Path):
    forming = world(GOOD)
    forming["state"]["replica"] |= {"state": "forming", "reason": "rank 1 ended"}
    told = benched(tmp_path, forming)

    assert told == {"why": "it is forming, not ready: rank 1 ended", "asked": []}
