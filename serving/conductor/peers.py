"""The agents of a replica as its conductor calls them: the others over HTTP, its own directly."""

from __future__ import annotations

from typing import Protocol

import httpx
from pydantic import ValidationError

from serving.api import AgentState, Order, RankOrder
from serving.configuration import Member
from serving.errors import AgentUnreachable, StartRefused

_TIMEOUT = httpx.Timeout(2.0)


class Keeper(Protocol):
    """Who keeps the rank of one machine."""

    async def state(self) -> AgentState:
        """What it says now."""
        ...

    async def start(self, generation: int) -> None:
        """Start the rank of a generation."""
        ...

    async def let_in(self, generation: int) -> None:
        """Let the rank of a generation join the others."""
        ...

    async def stop(self) -> None:
        """Begin to end whatever rank lives there; does not wait."""
        ...


class Peer:
    """Another machine's agent. Every call raises AgentUnreachable when it does not answer as agreed."""

    def __init__(self, member: Member, port: int, token: str, agreement: str) -> None:
        self._machine = member.machine
        self._agreement = agreement
        self._client = httpx.AsyncClient(
            base_url=f"http://{member.address}:{port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT,
            trust_env=False,
        )

    async def state(self) -> AgentState:
        """GET /state."""
        response = await self._call("GET", "/state")
        try:
            return AgentState.model_validate_json(response.content)
        except ValidationError as error:
            raise AgentUnreachable(f"cannot read the state of {self._machine}'s agent: {error}.") from error

    async def start(self, generation: int) -> None:
        """POST /rank."""
        await self._call("POST", "/rank", self._order(generation))

    async def let_in(self, generation: int) -> None:
        """POST /rank/join."""
        await self._call("POST", "/rank/join", self._order(generation))

    async def stop(self) -> None:
        """DELETE /rank."""
        await self._call("DELETE", "/rank", Order(agreement=self._agreement))

    def _order(self, generation: int) -> RankOrder:
        return RankOrder(agreement=self._agreement, generation=generation)

    async def _call(self, method: str, path: str, order: Order | None = None) -> httpx.Response:
        body = None if order is None else order.model_dump()
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise AgentUnreachable(f"cannot reach {self._machine}'s agent: {type(error).__name__} {error}") from error
        if response.status_code == 409:
            raise StartRefused(response.text)
        if response.is_error:
            raise AgentUnreachable(
                f"cannot use {self._machine}'s agent: {method} {path} gave {response.status_code} {response.text}"
            )
        return response
