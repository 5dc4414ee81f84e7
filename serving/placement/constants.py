"""The constants of the model of speed: what was published, and what was fitted to published measurements. Pure.

`tests/benchmarks/fitting.py` repeats the fit from the file of published numbers and prints these values again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """Seconds, shares and rates. The first block was fitted on TRAINING; the second was taken from publications; the
    third is a lab's own.
    """

    bandwidth_share: float = 0.898
    """Of the chip's bandwidth, what reading weights reaches."""
    launch_seconds: float = 3.944e-06
    """What a kernel of a decode step costs beside what it reads."""
    handing_seconds: float = 9.551e-06
    """What handing kernels to the GPU costs, each time."""
    newer_launch_share: float = 0.6747
    """The same on M4 and M5, as a share."""
    shared_read: float = 0.1252
    """What each further query head that shares a kept head adds to reading it."""
    slow_sync_seconds: float = 0.0001847
    """What each collective costs more over RDMA while MLX_METAL_FAST_SYNCH is off."""
    hop_seconds: float = 0.00167
    """What handing on a token from one stage of a pipeline to the next costs over RDMA."""
    compute_share: float = 0.7854
    """Of the chip's rate, what reading prompts reaches."""
    newer_compute_share: float = 0.8798
    """The same on M4, as a share of that."""
    expert_rows: float = 33.64
    """How many tokens an expert needs at once to reach half of that."""

    collective_seconds: float = 27.5e-6
    """A small reduction over RDMA between two Macs: 25.5 on M4 Pro, 27 to 31 on M3 Ultra with M5 Max."""
    tcp_collective_seconds: float = 300e-6
    """The same over TCP on Thunderbolt, per peer."""
    tcp_hop_seconds: float = 2.3e-3
    """A hop over TCP, from what exo's pipelines lost with each machine."""
    tcp_bytes_per_second: float = 5.5e9
    rdma_bytes_per_second: tuple[float, ...] = (8.05e9, 10.1e9, 12.2e9)
    """Of reductions over two, three, and four or more Macs in a mesh."""
    rdma_link_bytes_per_second: float = 5.3e9
    """From one Mac to the next."""
    batched_compute_share: float = 0.29
    """Of the chip's rate, what several sequences at once reach; from one source, and not validated."""

    decoding_factor: float = 1.0
    """What a lab has measured, as factors on seconds; 1 is as above. Of a step without its collectives and hops."""
    prompt_factor: float = 1.0
    """Of reading prompts, collectives and hops left out."""
    latency_factor: float = 1.0
    """Of a small collective."""
    transfer_factor: float = 1.0
    """Of the bytes of a large one."""


FITTED = Constants()
