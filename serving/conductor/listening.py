"""What each agent said last. Every agent is asked on its own, so that one who is silent makes nobody wait."""

from __future__ import annotations

import asyncio

from serving.api import AgentState
from serving.conductor.peers import Keeper
from serving.errors import AgentUnreachable

_FRESH_SECONDS = 1.25
"""An answer counts for so long: a machine that has much to do may miss a few turns."""


class Listener:
    """Asks one agent again and again; `news` is set whenever it has answered."""

    def __init__(self, keeper: Keeper, news: asyncio.Event, period_seconds: float) -> None:
        self._keeper = keeper
        self._news = news
        self._period_seconds = period_seconds
        self._said: AgentState | None = None
        self._at = 0.0

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                self._said = await self._keeper.state()
            except (AgentUnreachable, OSError):
                pass  # it shows as silence
            else:
                self._at = asyncio.get_running_loop().time()
                self._news.set()
            await asyncio.sleep(self._period_seconds)

    def said(self, now: float) -> AgentState | None:
        """Its last answer while that is fresh."""
        return self._said if now - self._at <= _FRESH_SECONDS else None
