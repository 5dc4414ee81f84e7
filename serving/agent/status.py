"""What this machine's agent says, for a shell: `python -m serving.agent.status CONFIG.json [--wait SECONDS]`.

Without `--wait` it prints the agent's state as one line of JSON. With it, it prints one plain line for each change
until the replica whose rank 0 is here is ready (exit code 0), broken, or the time is over (1, the reason on standard
error). It waits for an agent that runs the release its own configuration file lies in, so an older one never answers
for it. A replica that is broken already begins afresh, once: who waits for it has done something about it.

Every deploy starts this once for each replica, so without `--wait` it loads the standard library alone: pydantic and
httpx take longer than all the rest of such a run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from serving.errors import AgentUnreachable, CidermillError

if TYPE_CHECKING:
    from serving.api import AgentState, RankReport, ReplicaState

_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.5


class NotReady(CidermillError):
    """A replica is broken, or did not become ready in time."""


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.status", description="What this machine's agent says.")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="until the replica is ready")
    given = parser.parse_args(arguments)
    path: Path = given.configuration.resolve()

    agent = LocalAgent(_door(path))
    try:
        if given.wait is None:
            print(json.dumps(agent.told()))
        else:
            wait(agent, path.parent.name, given.wait, say=lambda line: print(line, flush=True))
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class Answering(Protocol):
    """What `wait` asks."""

    def state(self) -> AgentState:
        """GET /state. Raises AgentUnreachable."""
        ...

    def begin_afresh(self) -> None:
        """POST /replica/afresh. Raises AgentUnreachable."""
        ...


class Configured(Protocol):
    """What has to be known of an agent to ask it; an `AgentConfiguration` tells."""

    @property
    def machine(self) -> str:
        """The machine's name."""
        ...

    @property
    def address(self) -> str:
        """Where it listens."""
        ...

    @property
    def port(self) -> int:
        """And on which port."""
        ...

    @property
    def token_file(self) -> str:
        """The file with the cluster's token."""
        ...


@dataclass(frozen=True)
class _Door:
    machine: str
    address: str
    port: int
    token_file: str


def _door(path: Path) -> Configured:
    """The part of an agent's configuration that is needed here; the agent itself has checked all of it."""
    content = json.loads(path.read_text())
    return _Door(content["machine"], content["address"], content["port"], content["token_file"])


class LocalAgent:
    """This machine's agent over HTTP."""

    def __init__(self, configuration: Configured) -> None:
        self._machine = configuration.machine
        self._address, self._port = configuration.address, configuration.port
        self._token = Path(configuration.token_file).read_text().strip()

    def state(self) -> AgentState:
        """GET /state. Raises AgentUnreachable."""
        from pydantic import ValidationError  # neither is loaded for a look without waiting

        from serving.api import AgentState

        try:
            return AgentState.model_validate_json(self._call("GET", "/state"))
        except ValidationError as error:
            raise AgentUnreachable(f"cannot read the state of {self._machine}'s agent: {error}.") from error

    def told(self) -> dict[str, Any]:
        """GET /state as it came, for somebody who judges it himself. Raises AgentUnreachable."""
        content = self._call("GET", "/state")
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            said = content[:200].decode(errors="replace")
            raise AgentUnreachable(f"cannot read the state of {self._machine}'s agent: it said {said!r}.") from error

    def begin_afresh(self) -> None:
        """POST /replica/afresh. Raises AgentUnreachable."""
        self._call("POST", "/replica/afresh")

    def _call(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(self._address, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(str(error)) from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise self._unreachable(f"it answered {answer.status} {answer.reason}")
        return content

    def _unreachable(self, why: str) -> AgentUnreachable:
        return AgentUnreachable(f"cannot ask the agent on {self._machine} at {self._address}:{self._port}: {why}.")


def wait(
    agent: Answering,
    release: str,
    seconds: float,
    *,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Say each change until the replica is ready. Raises NotReady."""
    deadline, said = clock() + seconds, ""
    spent: int | None = None
    while True:
        seen = _look(agent, release)
        if seen.line != said:
            say(seen.line)
            said = seen.line
        if spent is None and seen.generation is not None:
            spent = _begin(agent, seen, seen.generation)
        if seen.ready:
            return
        if seen.broken and seen.generation is not None and spent is not None and seen.generation > spent:
            raise NotReady(seen.line)
        if clock() >= deadline:
            raise NotReady(f"cannot wait longer: not ready after {seconds:g} seconds. {seen.line}")
        pause(_POLL_SECONDS)


@dataclass(frozen=True)
class _Seen:
    line: str
    ready: bool = False
    broken: bool = False
    generation: int | None = None


def _begin(agent: Answering, seen: _Seen, generation: int) -> int:
    """The last generation whose breaking is no news."""
    if not seen.broken:
        return -1
    agent.begin_afresh()
    return generation


def _look(agent: Answering, release: str) -> _Seen:
    try:
        state = agent.state()
    except AgentUnreachable as error:
        return _Seen(f"waiting for the agent: {error}")
    if state.release != release:
        return _Seen(f"waiting for the agent of release {release}; {state.release} still answers")
    replica = state.replica
    if replica is None:
        return _Seen(f"the agent on {state.machine} answers; no replica is conducted here", ready=True)
    if replica.state == "broken":
        line = f"replica '{replica.name}' is broken: {replica.reason}"
        return _Seen(line, broken=True, generation=replica.generation)
    return _Seen(_line(replica), ready=replica.state == "ready", generation=replica.generation)


def _line(replica: ReplicaState) -> str:
    phases = Counter(_phase(report, replica.generation) for report in replica.ranks.values())
    ranks = ", ".join(f"{count} of {len(replica.ranks)} ranks {phase}" for phase, count in sorted(phases.items()))
    said = "; ".join(text for text in (replica.reason, replica.notice) if text)
    after = f" ({said})" if said else ""
    return f"replica {replica.name}: {replica.state}, {ranks}{after}"


def _phase(report: RankReport | None, generation: int) -> str:
    if report is None:
        return "unheard of"
    if not report.living:
        return "down"
    if report.status is None or report.generation != generation:
        return "starting" if report.generation == generation else "ending"
    return report.status.phase


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
