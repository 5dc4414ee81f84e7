"""Looking at all replicas all the time, from outside, each by its own endpoint; and for how long none was ready. Pure
but for the looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import httpx

from tests.faults.records import Look

PERIOD_SECONDS = 0.1
ANSWERS_WITHIN_SECONDS = 2.0


@asynccontextmanager
async def watching(agents: Mapping[str, str], token: str) -> AsyncIterator[dict[str, list[Look]]]:
    """Looks at /ready of each address, by its name."""
    looks: dict[str, list[Look]] = {name: [] for name in agents}
    options = {"trust_env": False, "limits": httpx.Limits(max_keepalive_connections=0)}
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=ANSWERS_WITHIN_SECONDS, **options) as http:
        loops = [asyncio.create_task(_watch(http, url, looks[name])) for name, url in agents.items()]
        try:
            yield looks
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


async def _watch(http: httpx.AsyncClient, url: str, looks: list[Look]) -> None:
    while True:
        asked = time.monotonic()
        try:
            response = await http.get(f"{url}/ready")
            answer = "yes" if response.status_code == 200 else "no"
        except httpx.TransportError:
            answer = "silence"
        looks.append(Look(asked, time.monotonic(), answer))
        await asyncio.sleep(PERIOD_SECONDS)


def seconds_without(looks: Mapping[str, Iterable[Look]], since: float, until: float) -> float:
    """The longest stretch of time in which no replica's last look was a yes."""
    told = sorted((look.told, name, look.answer == "yes") for name, each in looks.items() for look in each)
    state, longest, began = dict.fromkeys(looks, False), 0.0, None
    for at, name, is_ready in told:
        state[name] = is_ready
        if at < since:
            continue
        if any(state.values()) or at > until:
            longest = max(longest, at - began if began is not None else 0.0)
            began = None
        elif began is None:
            began = at
    return max(longest, until - began if began is not None else 0.0)


def pause(looks: Iterable[Look], since: float) -> float | None:
    """From the first look that was not answered by yes to the first yes after the last such; None: there was none."""
    after = [look for look in looks if look.asked >= since]
    away = [number for number, look in enumerate(after) if look.answer != "yes"]
    if not away or away[-1] + 1 == len(after):
        return None
    return after[away[-1] + 1].told - after[away[0]].told
