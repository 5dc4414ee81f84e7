"""A lab as it is read off its Macs: all well, and ways to make it unwell."""

from __future__ import annotations

from typing import Any

from serving.seen import (
    Interface,
    Interpreter,
    Mac,
    Network,
    PacketFilter,
    Peer,
    Port,
    Rdma,
    Resources,
    Seen,
    Settings,
)
from serving.transport import cable_addresses
from tests.serving.declarations import PAIRS, declared

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
SETTINGS = Settings(
    power={"sleep": 0, "standby": 0, "powernap": 0, "disksleep": 0, "displaysleep": 10, "autorestart": 1, "womp": 1},
    restart_after_freeze=True,
    updates={"schedule": False, "AutomaticDownload": False},
    remote_login=True,
    file_vault=False,
    application_firewall=False,
)
RULES = (
    "pass in quick on lo0 all flags S/SA keep state",
    "block return in quick proto tcp from any to any port = 7441",
)
RESOURCES = Resources(disk_free_bytes=1500 * 2**30, wired_limit_mb=0, clock_ahead_seconds=0.2, protection_domains=0)


def domain(machine: str, peer: str) -> str:
    """The Thunderbolt domain of the port of `machine` that faces `peer`."""
    return f"DOMAIN-{machine}-{peer}"


def all_well(names: tuple[str, ...] = ("m1", "m2", "m3", "m4")) -> dict[str, Seen]:
    """Four Mac Studios after a deploy, pairwise cabled at 80 Gb/s, RDMA active everywhere."""
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
        network=network(name, peers),
        settings=SETTINGS,
        packet_filter=PacketFilter(enabled=True, rules=RULES),
        resources=RESOURCES,
        interpreter=Interpreter(version="3.12.4", platform="darwin-arm64"),
    )


def network(name: str, peers: list[str]) -> Network:
    """Its interfaces: the first cable is in receptacle 3, which is en4."""
    addresses = cable_addresses(declared())
    cabled = {
        f"en{number}": Interface(up=True, active=True, ipv4=(f"{addresses[name, peer]}/30",))
        for number, peer in enumerate(peers, start=4)
    }
    ethernet = Interface(up=True, active=True, ipv4=(f"10.0.0.{name[1:]}/24",))
    return Network(interfaces={"en0": ethernet, **cabled}, bridge=(), default_route="en0")


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


def idle(port: Port) -> Port:
    """The same port with nothing in it."""
    return port.model_copy(update={"speed": "Up to 120 Gb/s", "peers": ()})


def changed(seen: Seen, subject: str, **fields: Any) -> Seen:
    """One subject of what was seen with some fields changed."""
    return seen.model_copy(update={subject: getattr(seen, subject).model_copy(update=fields)})


def with_interface(seen: Seen, name: str, **fields: Any) -> Seen:
    """What was seen, with one interface other than it was; a new one begins up, active and without an address."""
    interfaces = seen.network.interfaces
    before = interfaces.get(name, Interface(up=True, active=True, ipv4=()))
    return changed(seen, "network", interfaces={**interfaces, name: before.model_copy(update=fields)})


def with_ports(seen: Seen, *ports: Port) -> Seen:
    """What was seen, with other Thunderbolt ports."""
    return seen.model_copy(update={"ports": ports})
