"""What mlx-lm's generation loop is at, told by the ticks at each of its steps.

One step of mlx-lm's BatchGenerator (0.32.2) first decodes a token of every sequence, then reads a chunk of every prompt
that is not read yet. A chunk takes a moment or half a minute, so before each step it is looked up whether there is a
prompt to read. In a pipeline the rank with the first layers is done with a chunk long before the others and waits for
them in its next step; so a rank goes on saying `prefilling` until a token has come, which takes all ranks.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from serving.rank.portions import PortionedBatches
from serving.rank.status import Activity

_server: Any = importlib.import_module("mlx_lm.server")

Advance = Callable[[Activity], None]


def watch_batches(advance: Advance) -> None:
    """Have the ticks advanced by every step of the batches that mlx-lm's server makes from now on."""
    _server.BatchGenerator = partial(_WatchedBatches, advance)


class _WatchedBatches(PortionedBatches):
    def __init__(self, advance: Advance, *arguments: Any, **options: Any) -> None:
        self._advance = advance
        self._waits_for_readers = False
        super().__init__(*arguments, **options)

    def next(self) -> tuple[list[Any], list[Any]]:
        self._advance("prefilling" if self._waits_for_readers or self._has_prompts() else "decoding")
        read, decoded = super().next()
        self._waits_for_readers = bool(read) or (self._waits_for_readers and not decoded)
        return read, decoded

    def _has_prompts(self) -> bool:
        # Those that wait for room among the decoding ones count too: room may come within the step.
        return bool(self._currently_processing or self._unprocessed_sequences)


def watched_progress(advance: Advance, report: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The progress callback of one prompt that mlx-lm reads outside of batches; it ends with the first token."""

    def progress(processed: int, total: int) -> None:
        advance("decoding" if processed >= total else "prefilling")
        report(processed, total)

    return progress
