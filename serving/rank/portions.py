"""How much of prompts is read in one step, of however many prompts.

mlx-lm (0.32.2) reads up to 2048 tokens of each prompt in a step, so with 16 slots one step may read 32,768: nobody is
answered meanwhile, ranks cannot be told from frozen ones, and it takes far more memory than one long prompt does, which
is what a replica is planned with (`serving.anatomy.stepping`). Here all prompts share the 2048. The matrices are as
large either way, so reading is about as fast. All ranks have the same prompts, and come to the same shares.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
from typing import Any, cast

_server: Any = importlib.import_module("mlx_lm.server")

_ALIGNED = 64
"""Kernels are made for blocks of so many rows."""


def share(tokens: int, prompts: int) -> int:
    """How many tokens of each prompt are read in a step that reads so many of all."""
    each = max(1, tokens // max(1, prompts))
    return each - each % _ALIGNED or each


class PortionedBatches(_server.BatchGenerator):
    """mlx-lm's batches, of whose prompts a step reads no more in all than it would of a single one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tokens_a_step: int = self.prefill_step_size

    def next(self) -> tuple[list[Any], list[Any]]:
        """One step, as mlx-lm's."""
        waiting = len(self._currently_processing) + len(self._unprocessed_sequences)
        self.prefill_step_size = share(self._tokens_a_step, min(waiting, self.prefill_batch_size))
        return cast("tuple[list[Any], list[Any]]", super().next())
