"""The command that a Mac runs for each point, against an endpoint that says what a test wants, over real HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from pydantic import TypeAdapter

from serving.measuring.asking import rate
from serving.measuring.sample import Order, Sample
from tests.serving.gateway.endpoints import NOT_READY, TOKEN, Answer, Scripted, endpoint
from tests.serving.speaking import USAGE, made_of, said, text

ONE = Order(sequences=1, numbers=8, answer_tokens=4, seconds=20)


@pytest.fixture(scope="module")
def running() -> Iterator[Scripted]:
    with endpoint("a") as script:
        yield script


@pytest.fixture
def script(running: Scripted) -> Scripted:
    running.afresh()
    running.replica, running.in_flight, running.beside = {"state": "ready", "reason": ""}, 0, 0
    return running


def usage(prompt: int, cached: int = 0) -> dict[str, Any]:
    counted = {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}
    return {**USAGE, "usage": {**counted, "prompt_tokens_details": {"cached_tokens": cached}}}


def slowly(prompt: int = 30, cached: int = 0, pause: float = 0.1) -> Answer:
    """Five tokens: one, then two at a time, each after a pause."""
    pieces = (made_of(text("1 "), 1), made_of(text("2 3"), 2, 3), made_of(text(" 4", "length"), 4, 5))
    lines: list[Any] = [": prompt 30"]
    for piece in pieces:
        lines += [pause, *said(piece, done=False)]
    return Answer([*lines, *said(usage(prompt, cached))])


def asked(script: Scripted, directory: Path, order: Order = ONE) -> tuple[int, Sample | None, str]:
    """Exit code, what was printed, and what was complained of."""
    (directory / "token").write_text(f"{TOKEN}\n")
    told = {"machine": "mac-1", "address": "127.0.0.1", "port": script.port, "token_file": str(directory / "token")}
    (directory / "agent.json").write_text(json.dumps(told))
    command = [sys.executable, "-m", "serving.agent.measure", str(directory / "agent.json")]
    done = run(command, input=json.dumps(vars(order)), capture_output=True, text=True, check=False, timeout=60)
    sample = TypeAdapter(Sample).validate_json(done.stdout) if done.stdout else None
    return done.returncode, sample, done.stderr


def test_tokens_are_counted_by_the_endpoint_and_timed_as_they_come(script: Scripted, tmp_path: Path):
    script.always = slowly(prompt=30, cached=2)
    code, sample, complaint = asked(script, tmp_path)

    assert (code, complaint) == (0, "")
    assert sample is not None
    assert (sample.prompt_tokens, sample.cached_tokens, sample.answer_tokens) == ((30,), (2,), (5,))
    assert sample.first_token_seconds[0] >= 0.1
    assert sample.tokens_per_second is not None
    assert sample.tokens_per_second > 0
    assert (sample.others, sample.cut, sample.problem) == (0, False, "")


def test_it_asks_greedily_as_a_relay_and_no_two_prompts_begin_alike(script: Scripted, tmp_path: Path):
    script.always = slowly()
    asked(script, tmp_path, Order(sequences=3, numbers=8, answer_tokens=4, seconds=20))
    bodies = script.asked

    assert len({body["prompt"].split()[0] for body in bodies}) == 3
    assert {len(body["prompt"].split()) for body in bodies} == {8}
    assert {(body["temperature"], body["max_tokens"], body["stream"]) for body in bodies} == {(0, 4, True)}
    assert {headers["x-cidermill-relay"] for headers in script.headers} == {"1"}


def test_a_replica_that_is_not_ready_or_busy_is_asked_nothing_and_that_is_told(script: Scripted, tmp_path: Path):
    script.replica = {"state": "forming", "reason": "rank 1 ended"}
    _, forming, _ = asked(script, tmp_path)
    script.replica, script.in_flight = {"state": "ready", "reason": ""}, 2
    _, busy, _ = asked(script, tmp_path)

    assert script.asked == []
    assert forming is not None
    assert forming.problem == "it is forming, not ready: rank 1 ended"
    assert busy is not None
    assert busy.problem == "it is busy with 2 requests of others"


def test_requests_of_others_meanwhile_are_told(script: Scripted, tmp_path: Path):
    script.always, script.beside = slowly(), 1
    _, sample, _ = asked(script, tmp_path)

    assert sample is not None
    assert sample.others == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=503, error=NOT_READY), "the endpoint refused: 503"),
        (Answer(said(made_of(text("1 "), 1), done=False)), "broke off"),
        (Answer(said({"error": {"message": "rank 1 died"}}, done=False)), "the endpoint gave up: rank 1 died"),
    ],
)
def test_what_goes_wrong_is_told_in_words(script: Scripted, tmp_path: Path, answer: Answer, words: str):
    script.always = answer
    code, sample, _ = asked(script, tmp_path)

    assert code == 0
    assert sample is not None
    assert words in sample.problem


def test_an_answer_that_takes_too_long_is_cut_off_and_nothing_is_made_up(script: Scripted, tmp_path: Path):
    script.always = slowly(pause=30.0)
    _, sample, _ = asked(script, tmp_path, Order(sequences=1, numbers=8, answer_tokens=4, seconds=0.5))

    assert sample is not None
    assert (sample.cut, sample.tokens_per_second, sample.first_token_seconds) == (True, None, ())


def test_an_agent_that_cannot_be_asked_ends_it_with_1_and_why(tmp_path: Path):
    with endpoint("a") as gone:
        pass
    code, sample, complaint = asked(gone, tmp_path)

    assert (code, sample) == (1, None)
    assert complaint.startswith("cannot ask the agent on mac-1 at 127.0.0.1:")


def test_several_answers_count_while_all_of_them_are_written():
    early = [(1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1), (5.0, 1)]
    late = [(2.0, 1), (3.0, 1), (4.0, 1), (6.0, 1)]

    assert rate([early, late]) == pytest.approx(5 / 3)
    assert rate([early]) == pytest.approx(1.0)
    assert rate([early, [(6.0, 1), (7.0, 1)]]) is None
    assert rate([[(1.0, 1)]]) is None
