"""The command that measures a replica, against an agent that answers what it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from serving.agent.speed import main


class Agent(HTTPServer):
    """Generates so many tokens a second, and keeps what it was asked."""

    def __init__(self, rate: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rate = rate
        self.asked: list[tuple[str, str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Agent

    def _answer(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.command, self.path, given))
        measured = json.dumps({"tokens_per_second": self.server.rate, "of": "w"}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(measured)

    do_POST = _answer  # noqa: N815 - http.server's name

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - http.server's name
        pass


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent(40.0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def configuration(agent: Agent, tmp_path: Path) -> str:
    (tmp_path / "token").write_text("t")
    told = {"machine": "m1", "address": "127.0.0.1", "port": agent.server_port, "token_file": str(tmp_path / "token")}
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(told))
    return str(path)


def test_it_prints_what_the_agent_measured(agent: Agent, configuration: str, capsys: pytest.CaptureFixture[str]):
    assert main([configuration]) == 0
    assert json.loads(capsys.readouterr().out) == {"tokens_per_second": 40.0, "of": "w"}
    assert agent.asked == [("POST", "/replica/speed", {"enough": None})]


def test_an_agent_that_is_not_there_is_named(agent: Agent, configuration: str, capsys: pytest.CaptureFixture[str]):
    agent.server_close()

    assert main([configuration]) == 1
    assert f"cannot ask the agent on m1 at 127.0.0.1:{agent.server_port}" in capsys.readouterr().err
