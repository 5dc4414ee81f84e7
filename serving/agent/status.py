"""What this machine's agent says, for a shell: `python -m serving.agent.status CONFIG.json [--wait SECONDS]`.

With `--wait` and `--held-by NAME --for SECONDS` the replica is drained by NAME meanwhile, which is renewed as long as
it is waited for: it is proven before it takes anything. With `--until-speed TOKENS` its speed is measured then, no
longer than until it generates so many tokens a second, and told as `serving.agent.speed` tells it; a replica that does
takes requests at once, for clients who wait must not wait for another command.

Without `--wait` it prints the agent's state as one line of JSON. With it, it prints one plain line for each change
until the replica whose rank 0 is here is ready, be it held back by order (exit code 0), broken, or the time is over (1,
the reason on standard error). It waits for an agent that runs the release its own configuration file lies in, so an
older one never answers for it. A replica that is broken already begins afresh, once: who waits for it has done
something about it.

Standard library alone: every deploy starts this once for each replica, and waits with it while ranks load.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from serving.agent.drain import FOR_SECONDS
from serving.agent.local import LocalAgent, door
from serving.errors import AgentUnreachable, CidermillError

_POLL_SECONDS = 0.1


class NotReady(CidermillError):
    """A replica is broken, or did not become ready in time."""


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.status", description="What this machine's agent says.")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="until the replica is ready")
    parser.add_argument("--held-by", metavar="NAME", help="drain it meanwhile, as NAME")
    parser.add_argument("--for", dest="seconds", type=float, default=FOR_SECONDS, metavar="SECONDS")
    parser.add_argument("--until-speed", type=float, metavar="TOKENS", help="and no longer than until it is so fast")
    given = parser.parse_args(arguments)
    path: Path = given.configuration.resolve()

    agent = LocalAgent(door(path))
    try:
        if given.wait is None:
            print(json.dumps(agent.told()))
        else:
            held = None if given.held_by is None else Held(given.held_by, given.seconds, given.until_speed)
            wait(agent, path.parent.name, given.wait, say=lambda line: print(line, flush=True), held=held)
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class Answering(Protocol):
    """What `wait` asks."""

    def told(self) -> dict[str, Any]:
        """GET /state, a `serving.api.AgentState`. Raises AgentUnreachable."""
        ...

    def begin_afresh(self) -> None:
        """POST /replica/afresh. Raises AgentUnreachable."""
        ...

    def drain(self, by: str, seconds: float) -> None:
        """PUT /replica/drain. Raises AgentUnreachable."""
        ...

    def speed(self, enough: float | None = None) -> str:
        """POST /replica/speed: a `serving.conductor.speed.Speed`. Raises AgentUnreachable."""
        ...

    def readmit(self, by: str | None) -> None:
        """DELETE /replica/drain. Raises AgentUnreachable."""
        ...


@dataclass(frozen=True)
class Held:
    """By whom a replica is drained while it is waited for, and for how long at a time."""

    by: str
    seconds: float
    until_speed: float | None = None
    """Tokens per second with which it needs to be held no longer."""


def wait(
    agent: Answering,
    release: str,
    seconds: float,
    *,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    held: Held | None = None,
) -> None:
    """Say each change until the replica is ready, and how fast it is where that is wanted. Raises NotReady."""
    deadline, said, renewed = clock() + seconds, "", None
    spent: int | None = None
    while True:
        seen = _look(agent, release)
        if seen.line != said:
            say(seen.line)
            said = seen.line
        if held is not None and (renewed is None or clock() >= renewed + held.seconds / 2) and _hold(agent, held):
            renewed = clock()
        if spent is None and seen.generation is not None:
            spent = _begin(agent, seen, seen.generation)
        if seen.ready:
            if held is not None and held.until_speed is not None:
                say(_let_go(agent, held.by, held.until_speed))
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


def _hold(agent: Answering, held: Held) -> bool:
    """Whether the agent took the order; one that is away, or of a release that is going, is asked again."""
    try:
        agent.drain(held.by, held.seconds)
    except AgentUnreachable:
        return False
    return True


def _let_go(agent: Answering, by: str, until_speed: float) -> str:
    """How fast it is. One that is too slow, or cannot tell, stays held: whoever waits for it decides."""
    try:
        speed = agent.speed(until_speed)
        if json.loads(speed)["tokens_per_second"] >= until_speed:
            agent.readmit(by)
    except AgentUnreachable as error:
        return f"its speed is not known: {error}"
    return speed


def _begin(agent: Answering, seen: _Seen, generation: int) -> int:
    """The last generation whose breaking is no news."""
    if not seen.broken:
        return -1
    agent.begin_afresh()
    return generation


def _look(agent: Answering, release: str) -> _Seen:
    try:
        state = agent.told()
    except AgentUnreachable as error:
        return _Seen(f"waiting for the agent: {error}")
    if state["release"] != release:
        return _Seen(f"waiting for the agent of release {release}; {state['release']} still answers")
    replica = state["replica"]
    if replica is None:
        return _Seen(f"the agent on {state['machine']} answers; no replica is conducted here", ready=True)
    if replica["state"] == "broken":
        line = f"replica '{replica['name']}' is broken: {replica['reason']}"
        return _Seen(line, broken=True, generation=replica["generation"])
    # One that drains is proven; that it takes nothing is somebody's wish, and the line says whose.
    proven = replica["state"] in ("ready", "draining")
    return _Seen(_line(replica), ready=proven, generation=replica["generation"])


def _line(replica: Mapping[str, Any]) -> str:
    phases = Counter(_phase(report, replica["generation"]) for report in replica["ranks"].values())
    ranks = ", ".join(f"{count} of {len(replica['ranks'])} ranks {phase}" for phase, count in sorted(phases.items()))
    said = "; ".join(text for text in (replica["reason"], replica["notice"]) if text)
    after = f" ({said})" if said else ""
    return f"replica {replica['name']}: {replica['state']}, {ranks}{after}"


def _phase(report: Mapping[str, Any] | None, generation: int) -> str:
    if report is None:
        return "unheard of"
    if not report["living"]:
        return "down"
    if report["status"] is None or report["generation"] != generation:
        return "starting" if report["generation"] == generation else "ending"
    return str(report["status"]["phase"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
