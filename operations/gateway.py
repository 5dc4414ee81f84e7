"""The gateway as its clients see it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra.context import host

from operations.facts.agents import AgentState
from operations.remote import Commands, differs, operation, read


@operation
def answering(command: Sequence[str], *, within_seconds: int) -> Commands:
    """A gateway that answers a client.

    `command` prints JSON whose `state` is "ready" when it does; with `--wait SECONDS` it waits for that first.

    gateway.answering(
        name="Publish: wait until the gateway answers",
        command=["/opt/example/bin/python", "-m", "serving.gateway.status", "/opt/example/gateway.json"],
        within_seconds=120,
    )
    """
    state = read(host, AgentState, command=command)
    if state.get("state") == "ready":
        host.noop("the gateway answers")
        return
    differs("gateway", seen=str(state.get("problem") or state.get("state") or "silent"), needed="answering")
    yield shlex.join((*command, "--wait", str(within_seconds)))
