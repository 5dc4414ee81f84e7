"""`dev.cidermill.agent`, on every machine: `python -m serving.agent.daemon CONFIG.json`.

It keeps the rank of its own machine and tells the truth about it over HTTP, on the management address, to who has the
cluster's token. On the machine of rank 0 it also carries the replica's conductor and endpoint. SIGTERM ends the rank
first (up to `rank_process.GRACE_SECONDS`, so launchd's ExitTimeOut must be longer), then the agent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from serving import logs
from serving.agent.http import Lifespan, application
from serving.agent.machine import Agent
from serving.boot import boot_session
from serving.conductor.conducting import Conducting
from serving.conductor.peers import Peer
from serving.configuration import AgentConfiguration
from serving.endpoint.routes import Endpoint
from serving.endpoint.upstream import Upstream


def main(path: str) -> None:
    """Serve until SIGTERM."""
    file = Path(path).resolve()
    configuration = AgentConfiguration.model_validate_json(file.read_text())
    logs.begin(Path(configuration.log_directory), "agent")
    token = Path(configuration.token_file).read_text().strip()
    agent = Agent(configuration, release=file.parent.name, boot=boot_session())
    uvicorn.run(
        _application(configuration, agent, token),
        host=configuration.address,
        port=configuration.port,
        http="h11",  # the one that is on every Mac, and the stricter one
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
    )


def _application(configuration: AgentConfiguration, agent: Agent, token: str) -> Starlette:
    replica = configuration.replica
    if replica is None or replica.rank != 0:
        return application(agent, None, token, _lifespan(agent, None))
    others = [Peer(member, configuration.port, token) for member in replica.members[1:]]
    upstream = Upstream(replica)
    conducting = Conducting(replica, [agent, *others], upstream, Path(configuration.state_directory))
    endpoint = Endpoint(replica, lambda: conducting.state, upstream)
    endpoint.counting.begin()
    return application(agent, conducting, token, _lifespan(agent, conducting), endpoint.routes())


def _lifespan(agent: Agent, conducting: Conducting | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        task = None if conducting is None else asyncio.create_task(conducting.run())
        if task is not None:
            task.add_done_callback(_leave_if_it_failed)
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
            await agent.leave()

    return lifespan


def _leave_if_it_failed(task: asyncio.Task[None]) -> None:
    # An agent that no longer conducts must not look alive: launchd starts another.
    if not task.cancelled() and task.exception() is not None:
        logging.critical("Conducting failed", exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
