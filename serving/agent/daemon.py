"""`dev.cidermill.agent`, on every machine: `python -m serving.agent.daemon CONFIG.json`.

It keeps the rank of its own machine and tells the truth about it over HTTP, on the management address, to who has the
cluster's token. On the machine of rank 0 it also carries the replica's conductor and endpoint. SIGTERM ends the rank
first (up to the replica's `grace_seconds`, so launchd's ExitTimeOut must be longer), then the agent. SIGKILL leaves the
rank as it is, and the next agent keeps it.

An exclusive flock on `agent.lock` lets one agent process after another keep this machine's rank and conduct, never two
at once: uvicorn 0.38 begins the application before it finds the address in use.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from serving import logs
from serving.agent.http import Lifespan, application
from serving.agent.machine import Agent
from serving.boot import boot_session
from serving.conductor.conducting import Conducting
from serving.conductor.peers import Peer
from serving.configuration import AgentConfiguration
from serving.connections import KEEP_ALIVE_SECONDS
from serving.endpoint.routes import Endpoint
from serving.endpoint.upstream import Upstream

_ENDING_SECONDS: Final[Any] = 0.1
"""For short answers. Streams do not end by themselves: who relays them goes on elsewhere as soon as they are cut, and
the rank, which ends after them, is waited for by everybody. uvicorn hands it to asyncio, which takes parts of a second.
"""


def main(path: str) -> None:
    """Serve until SIGTERM."""
    file = Path(path).resolve()
    configuration = AgentConfiguration.model_validate_json(file.read_text())
    logs.begin(Path(configuration.log_directory), "agent")
    token = Path(configuration.token_file).read_text().strip()
    lock = _alone(Path(configuration.state_directory) / "agent.lock")
    agent = Agent(configuration, file.parent.name, boot_session(), software(file.parent))
    uvicorn.run(
        _application(configuration, agent, token),
        host=configuration.address,
        port=configuration.port,
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_ENDING_SECONDS,
        # Whatever else an environment holds, so that tests run what Macs run.
        http="h11",
        loop="asyncio",
    )
    os.close(lock)


def software(release: Path) -> str:
    """The names of what a release runs, which are the same on machines that run the same."""
    return " ".join(Path(os.readlink(link)).name for link in sorted(release.iterdir()) if link.is_symlink())


def _alone(path: Path) -> int:
    """Wait until no other agent process is on this machine; returns what must stay open to be the one."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logging.warning("Another agent process keeps this machine's rank; this one begins when it has ended.")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _application(configuration: AgentConfiguration, agent: Agent, token: str) -> Starlette:
    replica = configuration.replica
    if replica is None or replica.rank != 0:
        return application(agent, None, token, _lifespan(agent, None))
    agreed = agent.agreement or ""
    others = [Peer(member, configuration.port, token, agreed) for member in replica.members[1:]]
    upstream = Upstream(replica)
    conducting = Conducting(replica, [agent, *others], upstream, Path(configuration.state_directory), agreed)
    endpoint = Endpoint(replica, lambda: conducting.state, conducting.changed, upstream)
    endpoint.counting.begin()
    return application(agent, conducting, token, _lifespan(agent, conducting), endpoint)


def _lifespan(agent: Agent, conducting: Conducting | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        running = [agent.look_after(), *([] if conducting is None else [conducting.run()])]
        tasks = [asyncio.create_task(each) for each in running]
        for task in tasks:
            task.add_done_callback(_leave_if_it_failed)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await agent.leave()

    return lifespan


def _leave_if_it_failed(task: asyncio.Task[None]) -> None:
    # An agent that does only part of its work must not look alive: launchd starts another, which adopts the rank.
    if not task.cancelled() and task.exception() is not None:
        logging.critical("The agent cannot go on", exc_info=task.exception())
        os._exit(os.EX_SOFTWARE)


if __name__ == "__main__":
    main(sys.argv[1])
