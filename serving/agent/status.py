"""What this machine's agent says, for a shell: `python -m serving.agent.status CONFIG.json [--wait SECONDS]`.

Without `--wait` it prints the agent's state as one line of JSON. With it, it prints one plain line for each change
until the replica whose rank 0 is here is ready (exit code 0), broken, or the time is over (1, the reason on standard
error). It waits for an agent that runs the release its own configuration file lies in, so an older one never answers
for it. A replica that is broken already begins afresh, once: who waits for it has done something about it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
from pydantic import ValidationError

from serving.api import AgentState, RankReport, ReplicaState
from serving.configuration import AgentConfiguration
from serving.errors import AgentUnreachable, CidermillError

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
    configuration = AgentConfiguration.model_validate_json(path.read_text())

    agent = LocalAgent(configuration)
    try:
        if given.wait is None:
            print(agent.state().model_dump_json())
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


class LocalAgent:
    """This machine's agent over HTTP."""

    def __init__(self, configuration: AgentConfiguration) -> None:
        self._machine = configuration.machine
        self._url = f"http://{configuration.address}:{configuration.port}"
        self._token = Path(configuration.token_file).read_text().strip()

    def state(self) -> AgentState:
        """GET /state. Raises AgentUnreachable."""
        content = self._call("GET", "/state")
        try:
            return AgentState.model_validate_json(content)
        except ValidationError as error:
            raise AgentUnreachable(f"cannot read the state of {self._machine}'s agent: {error}.") from error

    def begin_afresh(self) -> None:
        """POST /replica/afresh. Raises AgentUnreachable."""
        self._call("POST", "/replica/afresh")

    def _call(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            response = httpx.request(
                method, self._url + path, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False
            )
            return response.raise_for_status().content
        except httpx.HTTPError as error:
            raise AgentUnreachable(f"cannot ask the agent on {self._machine} at {self._url}: {error}.") from error


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
    after = f" ({replica.reason})" if replica.reason else ""
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
