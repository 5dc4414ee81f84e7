"""What loading a tensor split takes for a moment beyond what stays: whole tensors on their way to becoming parts.

Every rank reads every whole tensor and copies its part out of it. MLX allocates what is read at once, and waits only
when more than ten tasks are under way: ten reads are one task, and so is each command buffer of copies (MLX 0.32.4,
`mlx/backend/cpu/encoder.h`, `eval_impl`). So what is in flight is known from the order and the sizes of the tensors.
Nothing in here was fitted. Where weights are not split nothing is copied, and this is nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from serving.anatomy.scratch import ELEMENTS, KERNELS, UNDER_WAY

READS_OF_A_TASK = 10


@dataclass(frozen=True)
class Part:
    """One tensor of a rank: bytes and elements of the whole and of what the rank keeps."""

    whole_bytes: int
    whole_elements: int
    kept_bytes: int
    kept_elements: int

    @property
    def is_copied(self) -> bool:
        """Whether the rank keeps less than the whole."""
        return self.kept_bytes < self.whole_bytes


def excess(parts: Iterable[Part]) -> int:
    """Bytes that are there at most while parts are loaded in this order, beyond all that is kept in the end."""
    tasks = kernels = elements = kept = highest = flying = 0
    under_way: deque[tuple[int, int]] = deque()
    for number, part in enumerate(parts, start=1):
        kept += part.kept_bytes
        tasks += number % READS_OF_A_TASK == 0
        if part.is_copied:
            kernels, elements = kernels + 1, elements + part.whole_elements + part.kept_elements
            under_way.append((tasks, part.whole_bytes))
            flying += part.whole_bytes
        if kernels > KERNELS or elements > ELEMENTS:
            tasks, kernels, elements = tasks + 1, 0, 0
        while under_way and under_way[0][0] < tasks - UNDER_WAY:
            flying -= under_way.popleft()[1]
        highest = max(highest, kept + flying)
    return highest - kept
