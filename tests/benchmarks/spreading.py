"""How much longer weights take to three more Macs than to one, over the same cables, in the same run.

    uv run --all-groups python -m tests.benchmarks.spreading [--megabytes 240] [--rate 20] [--rounds 3]

Each Mac is a process of the very program that deploys run, told an order that the deploy's own planning made. Each
cable is a forwarder on loopback that lets so many megabytes a second through, because loopback itself is faster than
the processors here. What is timed is from the first byte in any cable to the last in all of them, so that starting
processes counts for neither. Ends with 1 when the median of the ratios is above 1.5.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread

from serving.supply.order import Order
from serving.weights import NEEDED
from tests.serving.supply.macs import Macs, lab, process

BOUND = 1.5
NAMES = ("m1", "m2", "m3", "m4")
_MEGABYTE = 10**6
_CHUNK_BYTES = 64 * 1024
_SECONDS = 600


@dataclass
class Cable:
    """What goes through one cable from a giver to a taker, at most so much a second."""

    address: str
    to: str
    port: int
    bytes_per_second: float
    passed: int = 0
    first: float = field(default=float("inf"))
    last: float = 0.0
    _free_at: float = 0.0

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """It carries until the end of the block."""
        with socket.create_server((self.address, self.port)) as listening:
            Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                taker, _ = listening.accept()
            except OSError:
                return
            try:
                giver = socket.create_connection((self.to, self.port))
            except OSError:
                taker.close()  # nobody is there yet; the taker asks again
                continue
            Thread(target=self._carry, args=(giver, taker, True), daemon=True).start()
            Thread(target=self._carry, args=(taker, giver, False), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := one.recv(_CHUNK_BYTES):
                if counts:
                    self._pass(len(data))
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def _pass(self, size: int) -> None:
        """Wait until the cable has carried what was before; all connections through it share it."""
        now = time.monotonic()
        self.first = min(self.first, now)
        begin = max(now, self._free_at)
        self._free_at = begin + size / self.bytes_per_second
        time.sleep(max(0.0, self._free_at - now))
        self.passed += size
        self.last = max(self.last, time.monotonic())


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Weights to three more Macs, beside one copy.")
    parser.add_argument("--megabytes", type=int, default=240)
    parser.add_argument("--rate", type=float, default=20.0, help="of each cable, in MB/s")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="spreading-") as work:
        source = _weights(Path(work), given.megabytes * _MEGABYTE)
        ratios: list[float] = []
        for number in range(1, given.rounds + 1):
            one = _timed(Path(work), source, NAMES[:2], given.rate)
            three = _timed(Path(work), source, NAMES, given.rate)
            ratios.append(three / one)
            print(
                f"round {number}: one copy {one:.2f} s, three more Macs {three:.2f} s, ratio {three / one:.2f}",
                flush=True,
            )
    whole = median(ratios)
    print(
        f"{given.megabytes} MB over cables of {given.rate:g} MB/s: {whole:.2f} times one copy, needed {BOUND} at most"
    )
    return 0 if whole <= BOUND else 1


def _weights(work: Path, size: int) -> Path:
    """Weights of several files of unequal size."""
    source = work / "source"
    source.mkdir()
    for name in NEEDED:
        (source / name).write_text("{}")
    for number, share in enumerate((0.4, 0.35, 0.25), start=1):
        (source / f"model-{number:05d}-of-00003.safetensors").write_bytes(os.urandom(int(size * share)))
    return source


def _timed(work: Path, source: Path, names: tuple[str, ...], rate: float) -> float:
    """Seconds until all of these have what the first has."""
    root = work / "macs"
    shutil.rmtree(root, ignore_errors=True)
    rack = Macs(lab(len(names), path=str(source)), root)
    root.mkdir()
    # The first has been sent all of it before; what is left is what Macs do among themselves.
    rack.send("m1", {**rack.supply().sent["m1", "w"], "only": tuple(rack.known()["w"].manifest.files)})
    orders = [rack.here(order) for order in rack.supply().orders.values()]
    with ExitStack() as stack:
        cables = [cable for order in orders for cable in _cables(order, rate * _MEGABYTE)]
        for cable in cables:
            stack.enter_context(cable.plugged_in())
        running = [process(_through_cables(order)) for order in orders]
        ended = [each.communicate(timeout=_SECONDS) for each in running]
    if any(each.returncode for each in running):
        sys.exit(f"cannot measure: {ended}")
    whole = rack.content("m1")
    if any(rack.content(name) != whole for name in names):
        sys.exit("cannot measure: not all of it arrived")
    return max(cable.last for cable in cables) - min(cable.first for cable in cables)


def _cables(order: Order, bytes_per_second: float) -> list[Cable]:
    return [
        Cable(_end(order.machine, source.machine), source.addresses[0], order.port, bytes_per_second)
        for source in order.sources
    ]


def _through_cables(order: Order) -> Order:
    """The same order, with the taker's end of each cable in place of the giver's address."""
    sources = [
        source.model_copy(update={"addresses": (_end(order.machine, source.machine),)}) for source in order.sources
    ]
    return order.model_copy(update={"sources": tuple(sources)})


def _end(taker: str, giver: str) -> str:
    return f"127.214.{taker[1:]}.{giver[1:]}"


if __name__ == "__main__":
    sys.exit(main())
