"""A rank on a machine that has a wired limit: what MLX is told of it is written down. `-m ... SPEC.json`."""

from __future__ import annotations

import sys
from pathlib import Path

import mlx.core as mx

from serving.rank import process

RECOMMENDED = 2**30

device = mx.device_info()
limits = [0]
spec = Path(sys.argv[1])


def set_wired_limit(limit: int) -> int:
    limits.append(limit)
    with spec.with_name("wired").open("a") as record:
        record.write(f"{limit}\n")
    return limits[-2]


# MLX itself has nothing to wire on Linux.
mx.device_info = lambda: {**device, "max_recommended_working_set_size": RECOMMENDED}
mx.set_wired_limit = set_wired_limit
sys.exit(process.main(str(spec)))
