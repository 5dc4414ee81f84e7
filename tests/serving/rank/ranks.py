"""True ranks on loopback, without agents: started, let in, asked over HTTP, and looked at from outside."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import Any

import httpx

from serving.configuration import Member
from serving.rank.asked import FIELD, Asked
from serving.rank.status import Phase, RankSpec, RankStatus, Tick, read_status, read_tick
from serving.weights import manifest
from tests.plain import PLAIN
from tests.serving.replicas import replica
from tests.serving.waiting import wait_until
from tests.weights import PATH

_PORTS = itertools.count(17641, 10)
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"


class NotWholeError(Exception):
    """An answer ended before its end."""


@dataclass
class Told:
    """An answer put together from its chunks."""

    tokens: list[int] = field(default_factory=list[int])
    text: str = ""
    reasoning: str = ""
    tool_calls: list[Any] = field(default_factory=list[Any])
    finish_reason: str | None = None
    usage: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, chunk: dict[str, Any]) -> None:
        self.tokens += chunk.get(FIELD, {"tokens": []})["tokens"]
        for choice in chunk["choices"]:
            delta = choice.get("delta", choice)
            self.text += delta.get("content", delta.get("text", ""))
            self.reasoning += delta.get("reasoning", "")
            self.tool_calls += [call["function"] for call in delta.get("tool_calls", ())]
            self.finish_reason = choice["finish_reason"] or self.finish_reason
        if chunk.get("usage"):
            # How many were found in a cache says how much work it was, not what was answered.
            self.usage = {name: count for name, count in chunk["usage"].items() if name.endswith("_tokens")}


@dataclass
class Rank:
    """One rank's process and files."""

    process: Popen[bytes]
    directory: Path

    @property
    def status(self) -> RankStatus | None:
        return read_status(self.directory / "status.json")

    @property
    def phase(self) -> Phase | None:
        return self.status.phase if self.status else None

    @property
    def tick(self) -> Tick:
        tick = read_tick(self.directory / "ticks")
        assert tick is not None
        return tick

    @property
    def wired(self) -> list[int]:
        """Every wired limit that was set."""
        record = self.directory / "wired"
        return [int(line) for line in record.read_text().split()] if record.exists() else []

    def let_in(self) -> None:
        wait_until(lambda: self.phase == "checked" or self.process.poll() is not None, 120)
        assert self.phase == "checked", self.log
        assert self.process.stdin is not None
        self.process.stdin.write(b"join\n")
        wait_until(lambda: self.phase != "checked" or self.process.poll() is not None)

    def waits_for(self, phase: Phase) -> None:
        wait_until(lambda: self.phase == phase or self.process.poll() is not None, 120)
        assert self.phase == phase, self.log

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()


@dataclass
class Replica:
    """The ranks of one replica."""

    ranks: list[Rank]
    port: int
    sharding: str | None

    def __iter__(self) -> Iterator[Rank]:
        return iter(self.ranks)

    def ask(self, path: str, body: dict[str, Any], wanted: Asked | None = None) -> Told:
        """The whole answer to one request, asked as the endpoint does."""
        told = Told()
        with self.asking(path, body, wanted) as chunks:
            for chunk in chunks:
                told.add(chunk)
        assert told.finish_reason is not None
        return told

    @contextmanager
    def asking(
        self, path: str, body: dict[str, Any], wanted: Asked | None = None
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """The chunks of an answer as they come; leaving the block leaves the answer."""
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        asked = {**body, **streamed, **(wanted.field() if wanted else {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        with httpx.stream("POST", url, json=asked, timeout=60, **PLAIN) as response:
            assert response.status_code == 200, response.read()
            yield _chunks(response)

    def let_in(self) -> None:
        """One after the other, as the conductor does: who listens before who connects."""
        for rank in self:
            rank.let_in()

    def answers(self) -> bool:
        """Whether its HTTP server is up."""
        with suppress(httpx.ConnectError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health", **PLAIN).is_success
        return False


def _chunks(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line == "data: [DONE]":
            return
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))
    raise NotWholeError


@contextmanager
def started(directory: Path, count: int, weights: Path = PATH, **changes: Any) -> Iterator[Replica]:
    """The ranks of one replica, not yet let in; all gone at the end."""
    port = next(_PORTS)
    addresses = [f"127.0.0.{n}" for n in range(1, count + 1)]
    members = tuple(Member(machine=f"mac-{n}", address=a) for n, a in enumerate(addresses, start=1))
    ring = tuple((f"{address}:{port + n}",) for n, address in enumerate(addresses, start=1))
    alone: dict[str, Any] = {"transport": None, "sharding": None} if count == 1 else {}
    told = {"members": members, "ring": ring, "rank_port": port, "manifest": manifest(weights), **alone, **changes}
    (directory / "hosts.json").write_text(json.dumps(ring))
    with ExitStack() as stack:
        ranks: list[Rank] = []
        for number in range(count):
            own = directory / f"rank-{number}"
            own.mkdir()
            spec = RankSpec(
                machine=f"mac-{number + 1}",
                generation=1,
                replica=replica(number, weights_directory=str(weights), **told),
                transport_file=str(directory / "hosts.json"),
                status_file=str(own / "status.json"),
                tick_file=str(own / "ticks"),
            )
            (own / "spec.json").write_text(spec.model_dump_json())
            command = [sys.executable, "-m", "tests.serving.rank.recording", str(own / "spec.json")]
            log = stack.enter_context((own / "log").open("wb"))
            process = Popen(command, stdin=PIPE, stdout=log, stderr=STDOUT, bufsize=0)
            stack.callback(_end, process)
            ranks.append(Rank(process, own))
        yield Replica(ranks, port, spec.replica.sharding)


@contextmanager
def serving(directory: Path, count: int, weights: Path = PATH, **changes: Any) -> Iterator[Replica]:
    """The ranks of one replica, serving."""
    with started(directory, count, weights, **changes) as ranks:
        ranks.let_in()
        for rank in ranks:
            rank.waits_for("serving")
        wait_until(ranks.answers)
        yield ranks


def _end(process: Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
