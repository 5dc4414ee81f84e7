"""Transport files exactly as MLX 0.32.4 reads them, and the addresses on the cables.

`ring` reads MLX_HOSTFILE: for each rank the addresses it binds; the rank before it connects there. JACCL reads
MLX_IBV_DEVICES: a square matrix whose row i names rank i's device towards each other rank; a rank uses its own row
only, so the other rows need the right shape and no more. MLX takes any incomplete set of these for "one rank, alone"
and says nothing, so `rank` initialises strictly and compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from itertools import islice

from serving.cluster import Cluster
from serving.declared import Replica
from serving.errors import TransportRefused

Matrix = list[list[str | list[str] | None]]


def cable_addresses(cluster: Cluster) -> dict[tuple[str, str], str]:
    """The IPv4 address of (machine, peer): `machine`'s own end of its cable to `peer`, one /30 per cable."""
    addresses: dict[tuple[str, str], str] = {}
    subnets = IPv4Network(cluster.thunderbolt.network).subnets(new_prefix=30)
    for link, subnet in zip(cluster.links, islice(subnets, len(cluster.links)), strict=True):
        first, second = map(str, subnet.hosts())
        a, b = link.between
        addresses[a, b], addresses[b, a] = first, second
    return addresses


def ring_hosts(cluster: Cluster, replica: Replica) -> tuple[tuple[str, ...], ...]:
    """For each rank the `ip:port` it binds, on the cable that leads to the rank before it."""
    addresses = cable_addresses(cluster)
    before = (replica.machines[-1], *replica.machines[:-1])
    return tuple(
        (f"{addresses[machine, previous]}:{cluster.ports.transport + rank}",)
        for rank, (machine, previous) in enumerate(zip(replica.machines, before, strict=True))
    )


def device_matrix(transport: str, rank: int, members: Sequence[str], devices: Mapping[str, str]) -> Matrix:
    """JACCL's matrix with this rank's own row true. `devices` maps a peer's name to the local RDMA device facing it.

    Raises TransportRefused when a peer this rank must reach has no device.
    """
    size = len(members)
    needed = peers(transport, rank, size)
    missing = [members[peer] for peer in needed if members[peer] not in devices]
    if missing:
        raise TransportRefused(
            f"cannot use {transport} on {members[rank]}: no RDMA device faces {', '.join(missing)}, "
            f"which rank {rank} of {size} must reach. Check the cable, then `ibv_devinfo` on both machines."
        )
    matrix: Matrix = [[_placeholder(transport, i, j, size) for j in range(size)] for i in range(size)]
    matrix[rank] = [devices[members[j]] if j in needed else None for j in range(size)]
    return matrix


def environment(transport: str, rank: int, file: str, coordinator: str | None) -> dict[str, str]:
    """The whole set of MLX variables for one rank; `file` is the path of its hostfile or device matrix."""
    if transport == "ring":
        return {"MLX_RANK": str(rank), "MLX_HOSTFILE": file}
    if coordinator is None:
        raise TransportRefused(f"cannot use {transport}: rank 0's coordinator address is not declared.")
    jaccl = {"MLX_RANK": str(rank), "MLX_IBV_DEVICES": file, "MLX_JACCL_COORDINATOR": coordinator}
    return jaccl | ({"MLX_JACCL_RING": "1"} if transport == "jaccl-ring" else {})


def peers(transport: str, rank: int, size: int) -> set[int]:
    """The ranks that a rank sends to or receives from: all of a mesh, its neighbours in a ring."""
    everyone = set(range(size)) - {rank}
    return everyone if transport == "jaccl" else everyone & {(rank - 1) % size, (rank + 1) % size}


def _placeholder(transport: str, i: int, j: int, size: int) -> str | None:
    # Never opened: a rank opens the devices of its own row. Only its shape is compared.
    return "rdma_en0" if j in peers(transport, i, size) else None
