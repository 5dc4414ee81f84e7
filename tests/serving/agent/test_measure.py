"""The command that measures, on the machine of a real rank 0: real ranks, a real endpoint."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from subprocess import run

from pydantic import TypeAdapter

from serving.measuring.sample import Order, Sample
from tests.serving.agents import pair


def test_a_real_endpoint_is_measured_within_its_slots_and_the_agent_tells_what_reductions_take(tmp_path: Path):
    order = Order(sequences=2, numbers=16, answer_tokens=48, seconds=100.0)
    with pair(tmp_path) as running:
        running.wait()
        first = running.machines[0]
        command = [sys.executable, "-m", "serving.agent.measure", first.directory / "release-1" / "agent.json"]
        done = run(command, input=json.dumps(asdict(order)), capture_output=True, text=True, check=False, timeout=180)
        status = first.rank().status

    sample = TypeAdapter(Sample).validate_json(done.stdout)
    assert (sample.problem, sample.others, sample.cut) == ("", 0, False)
    assert sample.answer_tokens == (48, 48)
    assert min(sample.prompt_tokens) > 16
    assert max(sample.cached_tokens) <= 2
    assert sample.tokens_per_second is not None
    assert status is not None
    assert status.collective is not None
    assert status.collective.seconds > 0
