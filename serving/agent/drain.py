"""Takes the replica whose rank 0 is on this machine out of service, without cutting anybody off.

    python -m serving.agent.drain CONFIG.json [--by NAME] [--for SECONDS] [--wait SECONDS | --from-restart]

From now on it takes nothing new, and gateways ask others; what it has taken it answers to the end. With `--wait` this
ends when nothing is under way any more (exit code 0), or when the time is over (1, the reason on standard error; it
stays drained). The drain belongs to NAME. It outlasts restarts of the agent and of the machine, and ends by itself
after `--for` seconds unless it is ordered again, which `--wait` does for as long as it waits. `serving.agent.readmit`
ends it. With `--from-restart` it goes on taking requests until its agent ends, and the next one begins drained.
Standard library alone, as in `serving.agent.status`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from serving.agent.local import LocalAgent, door
from serving.errors import AgentUnreachable, CidermillError, OrderUnknown

BY = "a-person"
"""Whose drain it is when nobody says."""
FOR_SECONDS = 900.0
"""Long enough for a replica to be updated and proven; short enough to find one again that somebody forgot."""
_POLL_SECONDS = 0.5


class StillWorking(CidermillError):
    """A replica that drains did not come to the end of its requests in time."""


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.drain", description="Takes this replica out of service.")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--by", default=BY, metavar="NAME", help="whose drain it is")
    parser.add_argument("--for", dest="seconds", type=float, default=FOR_SECONDS, metavar="SECONDS")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--wait", type=float, metavar="SECONDS", help="until nothing is under way")
    when.add_argument("--from-restart", action="store_true", help="only when its agent starts again")
    given = parser.parse_args(arguments)

    agent = LocalAgent(door(given.configuration.resolve()))
    say = partial(print, flush=True)
    try:
        order(agent, given.by, given.seconds, from_restart=given.from_restart, say=say)
        if given.wait is not None:
            wait(agent, given.by, given.seconds, given.wait, say=say)
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class Draining(Protocol):
    """What `wait` asks."""

    def told(self) -> dict[str, Any]:
        """GET /state. Raises AgentUnreachable."""
        ...

    def drain(self, by: str, seconds: float, *, from_restart: bool = False) -> None:
        """PUT /replica/drain. Raises AgentUnreachable."""
        ...


def order(agent: Draining, by: str, seconds: float, *, from_restart: bool, say: Callable[[str], None]) -> None:
    """Order a drain. An agent of a release that cannot wait for its restart drains now, which is said. Raises
    AgentUnreachable.
    """
    try:
        agent.drain(by, seconds, from_restart=from_restart)
    except OrderUnknown:
        if not from_restart:
            raise
        say("this agent's release cannot be drained from its restart on, so it is drained now")
        agent.drain(by, seconds)


def wait(
    agent: Draining,
    by: str,
    seconds: float,
    most_seconds: float,
    *,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Say each change until nothing is under way, and renew the drain meanwhile. Raises StillWorking."""
    began = renewed = clock()
    said = ""
    while True:
        line, is_over = _look(agent)
        if line != said:
            say(line)
            said = line
        if is_over:
            return
        if clock() >= began + most_seconds:
            raise StillWorking(f"cannot wait longer: requests are under way after {most_seconds:g} seconds. {line}")
        if clock() >= renewed + seconds / 2:
            agent.drain(by, seconds)
            renewed = clock()
        pause(_POLL_SECONDS)


def _look(agent: Draining) -> tuple[str, bool]:
    """What to say, and whether nothing is under way. A replica that is not ready takes nothing either."""
    try:
        told = agent.told()
    except AgentUnreachable as error:
        return f"waiting for the agent: {error}", False
    replica, endpoint = told["replica"], told["endpoint"]
    working, waiting = endpoint["in_flight"], endpoint["queued"]
    under_way = f"{working} requests under way, {waiting} in the queue"
    line = f"replica {replica['name']}: {replica['state']}, {under_way} ({replica['reason'] or replica['notice']})"
    return line, working + waiting == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
