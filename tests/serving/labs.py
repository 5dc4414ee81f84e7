"""A lab as it is read off its Macs: all well, and ways to make it unwell."""

from __future__ import annotations

from typing import Any

from serving.seen import Interpreter, Mac, Peer, Port, Rdma, Seen
from tests.serving.declarations import PAIRS

MAC = {
    "macos": "26.3",
    "build": "25D125",
    "model": "Mac15,14",
    "chip": "Apple M3 Ultra",
    "memory_bytes": 512 * 2**30,
    "boot_session": "7E0B",
    "kernel": "Darwin",
    "arch": "arm64",
}


def domain(machine: str, peer: str) -> str:
    """The Thunderbolt domain of the port of `machine` that faces `peer`."""
    return f"DOMAIN-{machine}-{peer}"


def all_well(names: tuple[str, ...] = ("m1", "m2", "m3", "m4")) -> dict[str, Seen]:
    """Four Mac Studios, pairwise cabled at 80 Gb/s, RDMA active everywhere."""
    return {name: one_well(name) for name in names}


def one_well(name: str) -> Seen:
    """One of them."""
    peers = [b if a == name else a for a, b in PAIRS if name in (a, b)]
    ports = tuple(port(name, peer, receptacle) for receptacle, peer in enumerate(peers, start=3))
    return Seen(
        mac=Mac(**MAC),
        ports=ports,
        rdma=Rdma(
            status="enabled",
            devices=tuple(f"rdma_{p.interface}" for p in ports),
            ports={f"rdma_{p.interface}": "PORT_ACTIVE" for p in ports},
        ),
        interpreter=Interpreter(version="3.12.4", platform="macosx-11.0-arm64"),
    )


def port(name: str, peer: str, receptacle: int, speed: str = "80 Gb/s") -> Port:
    """A port with a peer Mac directly at it."""
    there = Peer(domain_uuid=domain(peer, name), model="Mac15,14", rdma=True, depth=1)
    return Port(
        receptacle=receptacle,
        interface=f"en{receptacle + 1}",
        domain_uuid=domain(name, peer),
        speed=speed,
        peers=(there,),
    )


def changed(seen: Seen, subject: str, **fields: Any) -> Seen:
    """One subject of what was seen with some fields changed."""
    return seen.model_copy(update={subject: getattr(seen, subject).model_copy(update=fields)})


def with_ports(seen: Seen, *ports: Port) -> Seen:
    """What was seen, with other Thunderbolt ports."""
    return seen.model_copy(update={"ports": ports})
