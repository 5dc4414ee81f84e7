"""The gateway in a network of its own, where every address leads to the loopback and every packet is read.

    python -m tests.serving.gateway.alone DIRECTORY

Run by `test_outbound`. Prints JSON: `answered` (the statuses of what was asked), `wanted` (every destination that
anything here has sent a first packet to), and `own` (the ports that may be). Needs root on Linux.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import httpx
from pyroute2 import IPRoute

from tests.serving.certificates import pair
from tests.serving.gateway.api_cases import APIS, PATHS, ask
from tests.serving.gateway.endpoints import Scripted, endpoint, served
from tests.serving.gateway.running import KEY, running
from tests.serving.speaking import USAGE, made_of, said, text
from tests.standin import kernel

_ALL: Final = 0x0003
_IP4, _IP6 = 0x0800, 0x86DD
_TCP, _UDP = 6, 17
_LOCAL_TABLE, _LOCAL_ROUTE = 255, 2


@dataclass
class Packets:
    """What was sent, by its destination: (protocol, address, port)."""

    destinations: set[tuple[str, str, int]] = field(default_factory=set)

    def read(self, frame: bytes) -> None:
        """Note a packet that begins something: a datagram, or a TCP connection."""
        kind, packet = struct.unpack("!H", frame[12:14])[0], frame[14:]
        if kind == _IP4:
            protocol, address, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
        elif kind == _IP6:
            protocol, address, rest = packet[6], packet[24:40], packet[40:]
        else:
            return
        if protocol == _UDP or (protocol == _TCP and rest[13] & 0x12 == 0x02):
            name = "udp" if protocol == _UDP else "tcp"
            self.destinations.add((name, str(ip_address(address)), struct.unpack("!H", rest[2:4])[0]))


@contextmanager
def reading() -> Iterator[Packets]:
    """All packets of this network, until the end."""
    packets, over = Packets(), threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as wire:
        wire.bind(("lo", 0))
        wire.settimeout(0.2)

        def read() -> None:
            while not over.is_set():
                try:
                    packets.read(wire.recv(65_535))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield packets
        finally:
            over.set()
            thread.join()


def enter_a_network_of_its_own() -> None:
    """Leave this machine's network; in the new one every address is here, so that nothing fails for want of a way."""
    kernel.unshare(kernel.NEW_NETWORK)
    with IPRoute() as route:
        (loopback,) = route.link_lookup(ifname="lo")
        route.link("set", index=loopback, state="up")
        for everywhere in ("0.0.0.0/0", "::/0"):
            route.route("add", dst=everywhere, oif=loopback, table=_LOCAL_TABLE, type="local", scope="host")


def asked(url: str, trusted: Path, scripted: Scripted) -> dict[str, int]:
    """What each API answers over TLS, whole and streamed, well and badly."""
    verify = ssl.create_default_context(cafile=str(trusted))
    headers = {"authorization": f"Bearer {KEY}"}
    statuses: dict[str, int] = {}
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False, verify=verify) as client:

        def post(what: str, path: str, body: Any) -> None:
            if "completions" in path and "chat" not in path:
                scripted.plan(*said(made_of(text("Once", "stop"), 1), USAGE))
            statuses[what] = client.post(path, json=body).status_code
            scripted.earlier.clear()

        for api in APIS:
            for stream in (False, True):
                post(f"{api} {stream}", PATHS[api], ask(api, "PRIVATE-WORDS", stream=stream))
            post(f"{api} unknown", PATHS[api], ask(api, "PRIVATE-WORDS", name="gpt-4"))
            post(f"{api} wrong", PATHS[api], ask(api, "PRIVATE-WORDS", temperature="PRIVATE-WORDS"))
            scripted.refuse(400, {"message": "cannot use PRIVATE-WORDS", "type": "invalid_request_error"})
            statuses[f"{api} refused"] = client.post(PATHS[api], json=ask(api, "PRIVATE-WORDS")).status_code
        statuses["models"] = client.get("/v1/models").status_code
        statuses["ready"] = client.get("/health/readiness").status_code
    return statuses


def main(directory: Path) -> None:
    """Start it, ask it, stop it."""
    enter_a_network_of_its_own()
    with (
        reading() as packets,
        endpoint("a") as scripted,
        running(directory, [served("a", scripted.port)], pair(address="127.0.0.1", today=datetime.now(UTC))) as gateway,
    ):
        answered = asked(gateway.url, directory / "certificate.pem", scripted)
        own = [gateway.port, gateway.relay_port, scripted.port]
    print(json.dumps({"answered": answered, "wanted": sorted(packets.destinations), "own": own}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
