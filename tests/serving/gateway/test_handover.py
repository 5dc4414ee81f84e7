"""One gateway takes over from another while clients ask: processes, sockets and signals as they are on a Mac."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from serving.gateway.configuration import GatewayConfiguration
from serving.gateway.handover import private_path
from serving.gateway.house import OPEN
from serving.gateway.status import Private
from tests.plain import PLAIN
from tests.serving.gateway.housed import PIECES_A_SECOND
from tests.serving.gateway.running import free_ports
from tests.serving.waiting import wait_until


@dataclass
class Door:
    """Where gateways of a test take turns."""

    directory: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, release: str, *words: str, drain_seconds: int = 30) -> None:
        told = GatewayConfiguration(
            address="127.0.0.1",
            port=self.port,
            key_file=str(self.directory / "key"),
            keys_file="",
            token_file="",
            fingerprints=(),
            litellm="",
            relay_port=1,
            door_directory=str(self.directory),
            drain_seconds=drain_seconds,
            replicas=(),
        )
        file = self.directory / f"{release}.json"
        file.write_text(told.model_dump_json())
        command = [sys.executable, "-m", "tests.serving.gateway.housed", str(file), release, *words]
        self.processes[release] = subprocess.Popen(command)

    def end(self, release: str, number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(release)
        process.send_signal(number)
        return process.wait(60)

    def who(self) -> str | None:
        """Who answers a client that has no connection yet; None when nobody does."""
        try:
            return httpx.get(f"{self.url}/who", timeout=20, **PLAIN).text
        except httpx.TransportError:
            return None

    def says(self, release: str, path: str) -> int | None:
        """The status of what one says in private; None when it says nothing."""
        connection = Private(private_path(self.directory, release))
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def answers_in_private(self, release: str) -> bool:
        return self.says(release, "/who") == 200

    def takes_clients(self, release: str) -> bool:
        return self.says(release, OPEN) == 204


@pytest.fixture
def door() -> Iterator[Door]:
    with TemporaryDirectory(prefix="cider-") as directory:
        (Path(directory) / "key").write_text("sk-test")
        made = Door(Path(directory), free_ports(1)[0])
        try:
            yield made
        finally:
            for process in made.processes.values():
                process.kill()
                process.wait()


@contextmanager
def asking(door: Door, clients: int = 4) -> Iterator[list[str | None]]:
    """Clients that ask on and on, each on connections that it keeps; what they were told, None for a failure."""
    told: list[str | None] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=door.url, timeout=20, **PLAIN) as http:
            while not over.is_set():
                try:
                    told.append(http.get("/who").text)
                except httpx.TransportError:
                    told.append(None)

    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask) for _ in range(clients)]
        try:
            yield told
        finally:
            over.set()
    for each in asked:
        each.result()


def test_nobody_is_turned_away_while_one_takes_over_from_another(door: Door):
    door.start("old")
    wait_until(lambda: door.who() == "old", seconds=120)
    with asking(door) as told:
        wait_until(lambda: len(told) > 50, seconds=120)
        door.start("new")
        wait_until(lambda: door.takes_clients("new"), seconds=120)
        code = door.end("old")
        wait_until(lambda: told[-1] == "new", seconds=120)
        before = len(told)
        wait_until(lambda: len(told) > before + 50, seconds=120)

    assert code == 0
    assert None not in told
    assert set(told) == {"old", "new"}
    assert set(told[before:]) == {"new"}


def test_a_stream_under_way_is_finished_by_the_one_that_began_it(door: Door):
    door.start("old", "brief")
    wait_until(lambda: door.who() == "old", seconds=120)
    slow = f"{door.url}/slow/2"
    with ThreadPoolExecutor() as pool, httpx.Client(timeout=60, **PLAIN) as http, http.stream("GET", slow) as response:
        ending = pool.submit(door.end, "old")
        text = "".join(response.iter_text())
        door.start("new")
        wait_until(lambda: door.who() == "new", seconds=120)

    assert ending.result() == 0
    assert text == "old" * 2 * PIECES_A_SECOND
    assert door.who() == "new"


def test_who_was_told_nothing_of_an_end_may_ask_once_more_when_its_stream_is_over(door: Door):
    """The head of its answer is older than the end, and its stream longer than a connection may idle."""
    door.start("old", "brief")
    wait_until(lambda: door.who() == "old", seconds=120)
    with ThreadPoolExecutor() as pool, httpx.Client(base_url=door.url, timeout=60, **PLAIN) as http:
        with http.stream("GET", "/slow/4") as response:
            pieces = response.iter_raw()
            next(pieces)
            ending = pool.submit(door.end, "old")
            rest = b"".join(pieces)
        again = http.get("/who")

    assert rest.endswith(b"old")
    assert (again.text, again.headers["connection"]) == ("old", "close")
    assert ending.result() == 0


def test_a_stream_that_takes_longer_than_declared_is_cut_off(door: Door):
    door.start("old", "brief", drain_seconds=0)
    wait_until(lambda: door.who() == "old", seconds=120)
    long = f"{door.url}/slow/30"
    with httpx.Client(timeout=60, **PLAIN) as http, http.stream("GET", long) as response:
        pieces = response.iter_raw()
        next(pieces)
        code = door.end("old")
        rest = []
        try:
            rest += list(pieces)
        except httpx.TransportError:
            rest.append(b"cut off")

    assert code == 0
    assert response.status_code == 200
    assert rest[-1] == b"cut off"


def test_one_that_does_not_answer_itself_takes_no_client(door: Door):
    door.start("old")
    wait_until(lambda: door.who() == "old", seconds=120)
    door.start("new", "mute")
    wait_until(lambda: door.answers_in_private("new"), seconds=120)
    is_open = door.takes_clients("new")
    told = {door.who() for _ in range(50)}
    code = door.end("new")

    assert not is_open
    assert told == {"old"}
    assert code == 0
    assert door.who() == "old"


def test_one_whose_predecessor_was_killed_listens_by_itself(door: Door):
    door.start("old")
    wait_until(lambda: door.who() == "old", seconds=120)
    door.end("old", signal.SIGKILL)
    door.start("new")
    wait_until(lambda: door.who() == "new", seconds=120)

    assert door.who() == "new"


def test_one_that_cannot_listen_yet_waits_until_it_can(door: Door):
    """A gateway of before knew nothing of taking over."""
    door.start("old")
    wait_until(lambda: door.who() == "old", seconds=120)
    (door.directory / "gateway.door").unlink()
    door.start("new")
    wait_until(lambda: door.answers_in_private("new"), seconds=120)
    before = door.who()
    door.end("old")
    wait_until(lambda: door.who() == "new", seconds=120)

    assert before == "old"
