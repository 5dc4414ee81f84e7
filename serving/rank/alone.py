"""Requests that mlx-lm serves outside of batches: for weights whose caches cannot be merged, and with images.

When a client leaves such a request, mlx-lm 0.32.2 lets rank 0 go and the others decode on: they never meet again. Here
all ranks agree at each token on whether somebody is still listening.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import mlx.core as mx

from serving.rank.activity import Advance, watched_progress

_server: Any = importlib.import_module("mlx_lm.server")


class Alone:
    """The one request that is served outside of batches now."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._stream: Callable[..., Iterator[Any]] = _server.stream_generate
        self._left = Event()
        _server.stream_generate = self._watched

    def queue(self, queue: Any) -> Any:
        """The queue of the next such request, for mlx-lm to answer to."""
        self._left = Event()
        return _Queue(queue, self._left)

    def _watched(self, *, prompt_progress_callback: Callable[[int, int], None], **arguments: Any) -> Iterator[Any]:
        progress = watched_progress(self._advance, prompt_progress_callback)
        for step in self._stream(prompt_progress_callback=progress, **arguments):
            self._advance("decoding")
            yield step
            # Only rank 0 has a client.
            if mx.distributed.all_sum(mx.array(int(self._left.is_set()))).item():
                return


class _Queue:
    def __init__(self, queue: Any, left: Event) -> None:
        self._queue = queue
        self._left = left

    def put(self, item: Any) -> None:
        if isinstance(item, _server.GenerationContext):
            item.stop = self._left.set
        self._queue.put(item)
