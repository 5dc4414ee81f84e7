"""The golden question: a real answer, greedy, is the only proof that all ranks compute together and rightly."""

from __future__ import annotations

import asyncio

from serving.conductor.observation import GoldenResult
from serving.configuration import ReplicaConfiguration
from serving.endpoint.upstream import Upstream
from serving.errors import RequestRefused, UpstreamFailed

_PAUSE_SECONDS = 0.2


async def ask(upstream: Upstream, replica: ReplicaConfiguration, generation: int) -> GoldenResult:
    """Ask until something answers; the conductor limits how long."""
    golden = replica.golden
    body = {
        "messages": [{"role": "user", "content": golden.question}],
        "temperature": 0,
        # A token holds at least one byte of the answer.
        "max_tokens": min(len(golden.answer.encode()) + 16, replica.context_tokens),
    }
    while True:
        try:
            answer = await upstream.complete("/v1/chat/completions", body)
        except UpstreamFailed:
            # Ranks report that their loop goes round a moment before rank 0 listens.
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        except RequestRefused as refused:
            return GoldenResult(generation, f"cannot ask replica '{replica.name}' its golden question: {refused}")
        seen = str(answer["choices"][0]["message"]["content"] or "").strip()
        return GoldenResult(generation, _problem(replica, seen))


def _problem(replica: ReplicaConfiguration, seen: str) -> str:
    needed = replica.golden.answer.strip()
    if seen.startswith(needed):
        return ""
    return (
        f"cannot trust replica '{replica.name}': asked '{replica.golden.question}', seen {seen!r}, needed an "
        f"answer that begins with {needed!r}. Compare with one machine alone"
    )
