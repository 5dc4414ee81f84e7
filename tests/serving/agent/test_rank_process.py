from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.agent.rank_process import RankProcess
from serving.errors import StartRefused
from serving.rank.status import RankSpec, RankStatus, replace
from tests.serving.replicas import replica
from tests.serving.waiting import wait_until

SAYS_ITS_PID = """
import json, os, signal, sys
spec = json.load(open(sys.argv[1]))
status = {"machine": spec["machine"], "generation": spec["generation"], "pid": os.getpid(), "phase": "checked"}
"""
TELLS = 'open(spec["status_file"], "w").write(json.dumps(status))\n'
WAITS = SAYS_ITS_PID + TELLS + "sys.exit(3 if sys.stdin.readline() else 75)"
IGNORES_SIGTERM = (
    SAYS_ITS_PID + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TELLS + "while True: signal.pause()"
)
FAILS = "print('a first line'); raise SystemExit('no such device')"


class Place:
    """The directories of one machine, as one agent after another finds them."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.log = directory / "rank.log"
        self.state.mkdir()
        self.begun: list[RankProcess] = []

    def agent(self, script: str, grace_seconds: float = 10) -> RankProcess:
        process = RankProcess(
            self.state, self.log, boot="b1", grace_seconds=grace_seconds, program=(sys.executable, "-c", script)
        )
        self.begun.append(process)
        return process

    def spec(self, generation: int = 1) -> RankSpec:
        return RankSpec(
            machine="mac-1",
            generation=generation,
            replica=replica(),
            transport_file=None,
            status_file=str(self.state / "rank.status.json"),
            tick_file=str(self.state / "rank.ticks"),
        )

    def started(self, script: str, grace_seconds: float = 10) -> RankProcess:
        """A rank that has told of itself."""
        rank = self.agent(script, grace_seconds)
        rank.start(self.spec())
        wait_until(lambda: self.status_pid(rank) is not None)
        return rank

    @staticmethod
    def status_pid(rank: RankProcess) -> int | None:
        report = rank.report()
        return report.status.pid if report is not None and report.status is not None else None


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for process in place.begun:
        asyncio.run(stopped(process))


async def stopped(process: RankProcess) -> None:
    await process.stop()


def test_nothing_is_known_of_a_rank_that_never_was(place: Place):
    rank = place.agent(WAITS)

    assert rank.report() is None
    assert not rank.lives()


def test_a_rank_is_reported_while_it_lives(place: Place):
    report = place.started(WAITS).report()

    assert report is not None
    assert (report.generation, report.living, report.exit_code, report.last_words) == (1, True, None, "")


def test_a_second_generation_is_refused_while_the_first_lives(place: Place):
    rank = place.started(WAITS)

    with pytest.raises(StartRefused, match="the rank before it has not ended"):
        rank.start(place.spec(generation=2))


def test_another_agent_sees_and_respects_a_rank_that_it_did_not_start(place: Place):
    first = place.started(WAITS)
    second = place.agent(WAITS)

    report = second.report()

    assert report is not None
    assert (report.living, report.generation) == (True, 1)
    with pytest.raises(StartRefused):
        second.start(place.spec(generation=2))
    asyncio.run(stopped(second))
    assert not first.lives()


def test_a_generation_is_started_once(place: Place):
    rank = place.agent(FAILS)
    rank.start(place.spec())
    wait_until(lambda: not rank.lives())
    rank.start(place.spec())

    assert not rank.lives()


def test_being_let_in_is_one_line_and_may_be_repeated(place: Place):
    rank = place.started(WAITS)
    rank.let_in(1)
    rank.let_in(1)
    wait_until(lambda: not rank.lives())
    rank.let_in(1)
    report = rank.report()

    assert report is not None
    assert report.exit_code == 3


def test_only_the_generation_that_is_here_is_let_in(place: Place):
    with pytest.raises(StartRefused):
        place.started(WAITS).let_in(2)


def test_a_rank_that_failed_leaves_its_exit_code_and_last_words(place: Place):
    replace(place.log, "words of an earlier rank\n")
    rank = place.agent(FAILS)
    rank.start(place.spec())
    wait_until(lambda: not rank.lives())
    report = rank.report()

    assert report is not None
    assert (report.exit_code, report.last_words) == (1, "a first line\nno such device")


def test_a_rank_that_the_kernel_holds_is_told_from_one_that_goes_on(place: Place):
    rank = place.started(WAITS)
    pid = place.status_pid(rank)
    assert pid is not None

    def suspended() -> bool:
        report = rank.report()
        return report is not None and report.suspended

    assert not suspended()
    os.kill(pid, signal.SIGSTOP)
    wait_until(suspended)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not suspended())


def test_stopping_takes_a_frozen_rank_too(place: Place):
    rank = place.started(WAITS)
    pid = place.status_pid(rank)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    asyncio.run(stopped(rank))
    report = rank.report()

    assert report is not None
    assert (report.exit_code, report.killed) == (-signal.SIGTERM, False)


def test_a_rank_that_does_not_end_is_killed_after_the_grace_and_that_is_recorded(place: Place):
    rank = place.started(IGNORES_SIGTERM, grace_seconds=0.2)
    asyncio.run(stopped(rank))
    report = rank.report()

    assert report is not None
    assert (report.exit_code, report.killed) == (-signal.SIGKILL, True)


def test_what_an_earlier_rank_told_is_not_taken_for_a_later_ones(place: Place):
    old = RankStatus(machine="mac-1", generation=1, pid=1, phase="serving")
    rank = place.agent(FAILS)
    replace(rank.status_file, old.model_dump_json())
    rank.start(place.spec(generation=2))
    report = rank.report()

    assert report is not None
    assert report.status is None


def test_a_later_agent_remembers_what_became_of_the_rank_before_it(place: Place):
    first = place.started(IGNORES_SIGTERM, grace_seconds=0.2)
    asyncio.run(stopped(first))
    report = place.agent(WAITS).report()

    assert report is not None
    assert (report.generation, report.living, report.exit_code, report.killed) == (1, False, None, True)


def test_a_rank_keeps_the_agreement_it_was_started_with(place: Place):
    first = place.agent(WAITS)
    first.start(place.spec(), agreement="old")
    report = place.agent(WAITS).report()

    assert report is not None
    assert (report.living, report.agreement) == (True, "old")


def test_nothing_is_remembered_across_a_boot(place: Place):
    first = place.agent(FAILS)
    first.start(place.spec())
    wait_until(lambda: not first.lives())

    assert RankProcess(place.state, place.log, boot="b2", grace_seconds=1).report() is None


def test_a_generation_that_is_over_never_starts(place: Place):
    rank = place.agent(FAILS)
    rank.start(place.spec(generation=2), agreement="a")
    wait_until(lambda: not rank.lives())

    with pytest.raises(StartRefused, match="generation 2 was here already"):
        rank.start(place.spec(generation=1), agreement="a")


def test_another_configuration_counts_its_generations_anew(place: Place):
    rank = place.agent(FAILS)
    rank.start(place.spec(generation=2), agreement="a")
    wait_until(lambda: not rank.lives())
    rank.start(place.spec(generation=1), agreement="b")
    report = rank.report()

    assert report is not None
    assert report.generation == 1


def test_a_rank_that_ended_in_its_time_was_stopped_and_one_that_died_was_not(place: Place):
    rank = place.started(WAITS)
    asyncio.run(stopped(rank))
    died = place.agent(FAILS)
    died.start(place.spec(generation=2))
    wait_until(lambda: not died.lives())

    assert (rank.stopped, died.stopped) == (True, False)


def test_the_log_is_bounded(place: Place):
    rank = place.agent(WAITS)
    with place.log.open("wb") as log:
        log.truncate(17 * 2**20)
    rank.trim_log()

    assert place.log.stat().st_size == 0
    assert place.log.with_suffix(".log.1").stat().st_size == 17 * 2**20
