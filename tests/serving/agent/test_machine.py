"""The agent of one machine without HTTP, with a real rank process that waits to be let in."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from serving.agent import memory
from serving.agent.domains import LIMIT, Ledger
from serving.agent.machine import Agent
from serving.api import agreement
from serving.configuration import AgentConfiguration, ReplicaConfiguration
from serving.errors import StartRefused
from serving.links.report import CableEnd, CableReport
from tests.serving.replicas import replica


@pytest.fixture
def agent(tmp_path: Path) -> Callable[..., Agent]:
    """An agent on this directory; a second one finds what the first has left."""

    def made(told: ReplicaConfiguration | None = None, software: str = "") -> Agent:
        told = told or replica()
        for name in ("state", "log"):
            (tmp_path / name).mkdir(exist_ok=True)
        ends = {"mac-2": CableEnd(interface="en5", address="10.213.0.1", status="active")}
        (tmp_path / "links.json").write_text(CableReport(machine="mac-1", boot="b", peers=ends).model_dump_json())
        return Agent(configuration(tmp_path, told), "r1", "b", software)

    return made


def configuration(directory: Path, told: ReplicaConfiguration) -> AgentConfiguration:
    return AgentConfiguration(
        cluster="test",
        machine="mac-1",
        address="127.0.0.1",
        port=7440,
        token_file="",
        token_fingerprint="",
        state_directory=str(directory / "state"),
        log_directory=str(directory / "log"),
        links_report=str(directory / "links.json"),
        replica=told,
    )


def test_a_start_that_cannot_be_written_is_refused_and_the_agent_lives(agent: Callable[..., Agent], tmp_path: Path):
    keeper = agent()
    obstacle = tmp_path / "state" / "rank.spec.json.new"
    obstacle.mkdir()

    with pytest.raises(
        StartRefused, match=r"cannot start generation 1 on mac-1: mac-1 cannot write .*rank.spec.json.new"
    ):
        asyncio.run(keeper.start(1))
    assert asyncio.run(keeper.state()).rank is None


def test_a_full_disk_is_told_until_there_is_room_again(agent: Callable[..., Agent], tmp_path: Path):
    keeper = agent()
    (tmp_path / "state" / "rank.spec.json.new").mkdir()
    nothing_fits = tmp_path / "state" / "room"
    nothing_fits.mkdir()
    with pytest.raises(StartRefused):
        asyncio.run(keeper.start(1))
    full = asyncio.run(keeper.state()).unable
    nothing_fits.rmdir()

    assert "Make room there" in full
    assert asyncio.run(keeper.state()).unable == ""


def test_a_rank_starts_without_its_cable_and_is_not_let_in_before_it_is_there(
    agent: Callable[..., Agent], tmp_path: Path
):
    keeper, links = agent(), tmp_path / "links.json"
    up = links.read_text()
    links.unlink()
    no_report = "the links daemon on mac-1 has not reported since this boot"

    async def play() -> None:
        await keeper.start(1)
        try:
            state = await keeper.state()
            assert (state.unable, state.unable_to_join) == ("", no_report)
            with pytest.raises(StartRefused, match=f"cannot let generation 1 in on mac-1: {no_report}"):
                await keeper.let_in(1)
            links.write_text(up)
            assert (await keeper.state()).unable_to_join == ""
            await keeper.let_in(1)
        finally:
            await keeper.leave()

    asyncio.run(play())
    assert json.loads((tmp_path / "state" / "transport.json").read_text()) == [list(each) for each in replica().ring]


def test_software_is_part_of_what_must_agree(agent: Callable[..., Agent]):
    assert agent().agreement == agreement(replica())
    assert agent(software="node-2").agreement != agreement(replica())


def test_a_later_agent_knows_what_the_earlier_one_started(agent: Callable[..., Agent]):
    first = agent()

    async def started() -> None:
        await first.start(3)

    asyncio.run(started())
    try:
        found = asyncio.run(agent().state()).rank
        assert found is not None
        assert (found.generation, found.agreement) == (3, agreement(replica()))
    finally:
        asyncio.run(first.leave())


def test_without_domains_no_rank_starts(agent: Callable[..., Agent], tmp_path: Path):
    (tmp_path / "state").mkdir()
    spent = Ledger(boot="b", spent=LIMIT, unclean=tuple(range(LIMIT)))
    (tmp_path / "state" / "domains.json").write_text(spent.model_dump_json())
    keeper = agent(replica(transport="jaccl", ring=(), coordinator="10.0.0.1:7442"))
    state = asyncio.run(keeper.state())

    assert state.domains is not None
    assert state.domains.left == 0
    with pytest.raises(StartRefused, match="no RDMA protection domain left"):
        asyncio.run(keeper.start(1))


def test_tcp_needs_no_domains(agent: Callable[..., Agent]):
    assert asyncio.run(agent().state()).domains is None


def test_what_a_process_holds_can_be_told_and_of_one_that_is_gone_it_cannot():
    gone = Popen([sys.executable, "-c", ""])
    gone.wait()

    assert (memory.held(os.getpid()) or 0) > 2**20
    assert memory.held(gone.pid) is None


def test_a_program_that_is_missing_or_fails_says_nothing():
    assert asyncio.run(memory.said("/nowhere/to/be/found")) is None
    assert asyncio.run(memory.said(sys.executable, "-c", "raise SystemExit(3)")) is None
    assert asyncio.run(memory.said(sys.executable, "-c", "print(2)")) == "2\n"


def test_the_memory_of_the_rank_is_looked_at(agent: Callable[..., Agent]):
    keeper = agent()

    async def looked_at() -> int:
        looking = asyncio.create_task(keeper.look_after())
        await keeper.start(1)
        async with asyncio.timeout(60):
            while (rank := (await keeper.state()).rank) is None or rank.status is None or not rank.memory_bytes:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        looking.cancel()
        await keeper.leave()
        return rank.memory_bytes

    assert asyncio.run(looked_at()) > 2**20
