"""This machine's agent as its own commands ask it.

Standard library alone: commands are started by every deploy, while ranks load, and pydantic and httpx take longer to
load than all the rest of such a run.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from serving.errors import AgentUnreachable, OrderUnknown

_TIMEOUT_SECONDS = 5.0
_MEASURING_SECONDS = 120.0
"""A few answers, one after another; a replica that generates so slowly is told by that."""


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


def door(path: Path) -> Configured:
    """The part of an agent's configuration that is needed here; the agent itself has checked all of it."""
    content = json.loads(path.read_text())
    return _Door(content["machine"], content["address"], content["port"], content["token_file"])


class LocalAgent:
    """This machine's agent over HTTP."""

    def __init__(self, configuration: Configured) -> None:
        self._machine = configuration.machine
        self._address, self._port = configuration.address, configuration.port
        self._token = Path(configuration.token_file).read_text().strip()

    def told(self) -> dict[str, Any]:
        """GET /state as it came, a `serving.api.AgentState`. Raises AgentUnreachable."""
        content = self._call("GET", "/state")
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            said = content[:200].decode(errors="replace")
            raise AgentUnreachable(f"cannot read the state of {self._machine}'s agent: it said {said!r}.") from error

    def begin_afresh(self) -> None:
        """POST /replica/afresh. Raises AgentUnreachable."""
        self._call("POST", "/replica/afresh")

    def drain(self, by: str, seconds: float, *, from_restart: bool = False) -> None:
        """PUT /replica/drain. Raises AgentUnreachable."""
        order = {"by": by, "seconds": seconds}
        # An agent of an older release refuses words it does not know, so what can be said without them is.
        self._call("PUT", "/replica/drain", {**order, "from_restart": True} if from_restart else order)

    def readmit(self, by: str | None) -> None:
        """DELETE /replica/drain. Raises AgentUnreachable."""
        self._call("DELETE", "/replica/drain", {"by": by})

    def speed(self, enough: float | None = None) -> str:
        """POST /replica/speed: a `serving.conductor.speed.Speed` as JSON. Raises AgentUnreachable."""
        order = {"enough": enough}
        return self._call("POST", "/replica/speed", order, timeout_seconds=_MEASURING_SECONDS).decode()

    def _call(
        self,
        method: str,
        path: str,
        order: Mapping[str, Any] | None = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> bytes:
        connection = http.client.HTTPConnection(self._address, self._port, timeout=timeout_seconds)
        body = None if order is None else json.dumps(order)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(str(error)) from error
        finally:
            connection.close()
        if answer.status >= 300:
            said = content[:500].decode(errors="replace").strip()
            kind = OrderUnknown if answer.status == http.client.BAD_REQUEST else AgentUnreachable
            raise self._unreachable(f"it answered {answer.status} {answer.reason} {said}".rstrip(), kind)
        return content

    def _unreachable(self, why: str, kind: type[AgentUnreachable] = AgentUnreachable) -> AgentUnreachable:
        return kind(f"cannot ask the agent on {self._machine} at {self._address}:{self._port}: {why}.")
