"""Garbage is collected between two steps of the event loop, and never in the middle of one.

CPython up to 3.11 collects wherever an object is made, even inside `ContextVar.set`; a destructor that sets one there
frees what is just being copied, and the process dies (python/cpython#148891). LiteLLM 1.109.1 sets many with each
request, and leaves sessions behind whose destructors log. What stands when the gateway has begun, half a million
objects, is not looked at again, which also spares all streams the wait for it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from typing import Final

_PERIOD_SECONDS: Final = 0.25


async def collect() -> None:
    """Collect garbage when it is due, until cancelled; nobody else does any more."""
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        await asyncio.sleep(_PERIOD_SECONDS)
        generation = due(gc.get_count(), gc.get_threshold())
        if generation is not None:
            gc.collect(generation)


def due(count: Sequence[int], threshold: Sequence[int]) -> int | None:
    """The oldest generation that has grown beyond its threshold, as `gc` counts them; None when none has."""
    return max((each for each in range(3) if count[each] > threshold[each]), default=None)
