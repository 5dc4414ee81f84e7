"""What true ranks hold of the weights, beside what placement had predicted before anything was loaded."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from mlx_lm import convert

from serving.anatomy.reading import from_directory
from serving.placement.chips import machine
from serving.placement.memory import needs
from serving.placement.speed import Setting
from tests.serving.rank.ranks import started
from tests.weights import PATH

FOUR_BITS = {"q_group_size": 32, "q_bits": 4}
"""By this only what is a multiple of 32 wide is quantised of the test weights, as mlx-lm does with any."""
KINDS: dict[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
    "alone": (None, {"count": 1}),
    "tensor over 2": (None, {"count": 2}),
    "tensor over 3, quantised": (FOUR_BITS, {"count": 3}),
    "pipeline, 9 and 3 layers": (None, {"count": 2, "sharding": "pipeline", "layers": (9, 3)}),
    "pipeline, evenly, quantised": (FOUR_BITS, {"count": 2, "sharding": "pipeline"}),
}


def quantised(directory: Path, how: dict[str, Any] | None) -> Path:
    """The test weights, quantised by mlx-lm itself."""
    if how is None:
        return PATH
    with contextlib.redirect_stdout(io.StringIO()):
        convert(str(PATH), str(directory), quantize=True, **how)
    return directory


@pytest.mark.parametrize(("quantisation", "told"), KINDS.values(), ids=KINDS)
def test_every_rank_reports_the_bytes_that_were_predicted(
    tmp_path: Path, quantisation: dict[str, Any] | None, told: dict[str, Any]
):
    weights, count = quantised(tmp_path / "weights", quantisation), told["count"]
    sharding = "single" if count == 1 else told.get("sharding", "tensor")
    macs = tuple(machine("M3 Ultra 512", f"mac-{number}") for number in range(1, count + 1))
    at = Setting(from_directory(weights).anatomy([count]), macs, sharding, "ring", layers=told.get("layers"))
    predicted = [need.weights for need in needs(at, context=1024, slots=1)]

    with started(tmp_path, weights=weights, **told) as replica:
        replica.let_in()
        for rank in replica:
            rank.waits_for("serving")
        reported = [rank.status.weights_bytes for rank in replica if rank.status]

    assert reported == pytest.approx(predicted, rel=0.01)
