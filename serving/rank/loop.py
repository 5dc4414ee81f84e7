"""mlx-lm's own server loop, unmodified in meaning, with three things to see from outside.

mlx-lm 0.32.2 looks up ResponseGenerator, TimeBudget and stream_generate by name when `main` runs. They are replaced
here by subclasses and a wrapper that advance the tick at each step, tell when the loop first goes round (weights are
loaded, all ranks take part), and end the process when the loop ends: mlx-lm itself keeps rank 0 up, answering 503, and
lets the others exit 0. Importing this module imports MLX, transformers and mlx-lm.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

from serving.configuration import ReplicaConfiguration
from serving.rank.status import Activity, Exit, StatusFile, Ticks

# Neither package carries types for these parts.
_server: Any = importlib.import_module("mlx_lm.server")

Advance = Callable[[Activity], None]

_IDLE_ROUNDS = 20
_NAP_SECONDS = 0.1
"""An idle rank 0 meets the others every 0.1 s, and they wait for it by polling: seen to cost a whole core each (ring,
mlx 0.32.4). After two seconds without a request they sleep through most of that; the next request waits for them at
most this long, and those that follow it not at all."""


def arguments(replica: ReplicaConfiguration) -> list[str]:
    """The command line of mlx-lm's server, the same on every rank."""
    return [
        *("--model", replica.weights_directory),
        *("--host", "127.0.0.1", "--port", str(replica.rank_port)),
        *("--decode-concurrency", str(replica.slots), "--prompt-concurrency", str(replica.slots)),
        # By count, never by bytes: ranks evict together only if they count alike.
        *("--prompt-cache-size", str(replica.slots)),
        *("--max-tokens", str(replica.context_tokens)),
        # INFO is four lines about the cache for each request, which would bury a rank's last words.
        *("--log-level", "WARNING"),
        *(["--pipeline"] if replica.sharding == "pipeline" else []),
    ]


def serve(replica: ReplicaConfiguration, status: StatusFile, ticks: Ticks) -> None:
    """Load the weights and serve. Returns only if mlx-lm does."""
    _server.ResponseGenerator = partial(_WatchedGenerator, status, ticks.advance)
    _server.TimeBudget = partial(_WatchedBudget, ticks.advance)
    _server.stream_generate = partial(_watched_stream, ticks.advance, _server.stream_generate)
    sys.argv = ["mlx_lm.server", *arguments(replica)]
    _server.main()


class _WatchedGenerator(_server.ResponseGenerator):
    def __init__(self, status: StatusFile, advance: Advance, provider: Any, cache: Any) -> None:
        self._status = status
        self._advance = advance
        self._goes_round = False
        self._idle_rounds = 0
        super().__init__(provider, cache)  # starts the thread

    def _generate(self) -> None:
        with ExitStack() as stack:
            stack.push(self._end)
            super()._generate()

    def _end(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        said = "it was told to stop" if kind is None else f"{kind.__name__}: {error}"
        logging.critical("The generation loop ended: %s", said, exc_info=error)
        self._status.report(phase="ended", reason=f"the generation loop ended: {said}")
        # Not sys.exit: this is a thread, and MLX's own threads abort an orderly exit.
        os._exit(Exit.GENERATION_ENDED)

    def _next_request(self, timeout: float | None = None) -> Any:
        if self._rank > 0 and self._idle_rounds > _IDLE_ROUNDS:
            time.sleep(_NAP_SECONDS)
        request = super()._next_request(timeout)
        # A loop that has something to do asks without a timeout.
        self._idle_rounds = self._idle_rounds + 1 if request is None and timeout is not None else 0
        self._advance("idle" if timeout is not None else "decoding")
        if not self._goes_round:
            self._goes_round = True
            self._status.report(phase="serving")
        return request


class _WatchedBudget(_server.TimeBudget):
    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        super().__init__()

    def __next__(self) -> None:
        self._advance("decoding")
        return super().__next__()


def _watched_stream(advance: Advance, stream: Callable[..., Iterator[Any]], **arguments: Any) -> Iterator[Any]:
    """Serves weights whose caches cannot be batched: one request at a time, outside the budget."""
    report = arguments.pop("prompt_progress_callback")

    def progress(processed: int, total: int) -> None:
        advance("prefilling")
        report(processed, total)

    for step in stream(prompt_progress_callback=progress, **arguments):
        advance("decoding")
        yield step
