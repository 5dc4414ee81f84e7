"""Macs as directories, which bring weights to each other over real sockets on loopback, as real orders tell them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from operations.facts.weights import LISTING, Receipt, listed, receipt_of, trusted
from serving.cluster import Cluster
from serving.errors import SupplyRefused
from serving.seen import Resources
from serving.supply import pinned, planning
from serving.supply.carrying import carry
from serving.supply.order import Order
from serving.supply.pinned import Known
from serving.supply.planning import Supply
from serving.supply.shelf import Shelf
from tests.serving.declarations import PAIRS, declared
from tests.serving.labs import RESOURCES, one_well

TOKEN = "the cluster's token"
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def lab(names: int = 4, *, links: list[tuple[str, str]] | None = None, **weights: Any) -> Cluster:
    """So many Macs that serve the same weights together, with addresses on loopback, their cables' as well."""
    machines = [f"m{n}" for n in range(1, names + 1)]
    pairs = PAIRS if links is None else links
    together = {"transport": "ring", "sharding": "tensor"} if names > 1 else {}
    ring = [*pairwise(machines), (machines[-1], machines[0])] if names > 1 else []
    cabled = {frozenset(pair) for pair in pairs if set(pair) <= set(machines)}
    # A replica needs its ring; where a test wants fewer cables, each Mac serves alone.
    joined = all(frozenset(pair) in cabled for pair in ring)
    alone = [{"name": f"r{n}", "machines": [name], "weights": "w"} for n, name in enumerate(machines)]
    return declared(
        machines=[{"name": name, "address": f"127.0.1.{n}"} for n, name in enumerate(machines, start=1)],
        links=[{"between": [a, b]} for a, b in pairs if {a, b} <= set(machines)],
        thunderbolt={"network": "127.213.0.0/24"},
        weights=[{"name": "w", "golden": {"question": "Why?", "answer": "Because"}, **weights}],
        replicas=[{"name": "a", "machines": machines, "weights": "w", **together}] if joined else alone,
        ports={"supply": free_port()},
    )


@dataclass
class Macs:
    """All Macs of a lab, each below a directory of its name."""

    cluster: Cluster
    root: Path
    free_bytes: dict[str, int] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Those that cannot tell what they hold."""
    patience_seconds: float = PATIENCE_SECONDS
    said: dict[str, list[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [machine.name for machine in self.cluster.machines]

    def place(self, machine: str, directory: str) -> Path:
        """Where a directory of weights lies, of all that would be at the same path on Macs."""
        return self.root / machine / Path(directory).name

    def known(self) -> dict[str, Known]:
        return pinned.known(self.cluster, self.root / "control", {})

    def facts(self) -> dict[str, dict[str, Any]]:
        """What every Mac says of its disk, by the very listing and receipts that deploys read."""
        return {
            name: {f"weights {path}": self._listing(name, path) for path in planning.directories(self.known())}
            for name in self.names
        }

    def supply(self) -> Supply:
        """What a deploy would do now."""
        return planning.supply(self.cluster, self.known(), self.facts(), self.seen())

    def bring(self, supply: Supply | None = None, *, but: frozenset[str] = frozenset()) -> dict[str, str]:
        """Do it, all Macs at once but these; why it failed, by Mac."""
        supply = supply or self.supply()
        assert supply.findings == ()
        for (machine, _), sent in supply.sent.items():
            self.send(machine, sent)
        # Before any of them runs, since they all read the token that this writes.
        orders = [self.here(order) for (machine, _), order in supply.orders.items() if machine not in but]
        with ThreadPoolExecutor(len(orders) or 1) as pool:
            failed = dict(zip([order.machine for order in orders], pool.map(self._carried, orders), strict=True))
        return {machine: why for machine, why in failed.items() if why}

    def here(self, order: Order) -> Order:
        """The same order for this machine's own directories."""
        directory = self.place(order.machine, order.directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        token = self.root / "token"
        if not token.exists():
            token.write_text(f"{TOKEN}\n")
        return order.model_copy(update={"directory": str(directory), "token_file": str(token)})

    def content(self, machine: str) -> dict[str, bytes]:
        """Every file of the weights as it is on a Mac."""
        directory = self.place(machine, planning.directories(self.known())[0])
        return {
            path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
        }

    def forget(self, machine: str) -> None:
        """A Mac that is new."""
        shutil.rmtree(self.root / machine, ignore_errors=True)

    def _carried(self, order: Order) -> str:
        try:
            say = self.said.setdefault(order.machine, []).append
            carry(order, say=say, patience_seconds=self.patience_seconds)
        except SupplyRefused as error:
            return str(error)
        return ""

    def send(self, machine: str, sent: Any) -> None:
        """What the deploy sends from the control machine."""
        directory = self.place(machine, sent["directory"])
        directory.mkdir(parents=True, exist_ok=True)
        for path in sent["only"]:
            shutil.copy(Path(sent["source"]) / path, directory / path)
        Shelf(directory, self.known()["w"].manifest.files).vouch(sent["only"])

    def _listing(self, machine: str, path: str) -> dict[str, Any]:
        if machine in self.away:
            return {"problem": "no answer within 120 s"}
        directory = self.place(machine, path)
        if not directory.is_dir():
            return {}
        ran = subprocess.run(["sh", "-c", LISTING], cwd=directory, capture_output=True, text=True, check=True)
        receipt = Path(receipt_of(str(directory)))
        vouched = Receipt.model_validate_json(receipt.read_text()) if receipt.exists() else Receipt(files={})
        return dict(trusted(listed(ran.stdout.splitlines()), vouched))

    def seen(self) -> dict[str, Any]:
        """What else is read off them."""
        free = {name: self.free_bytes.get(name, RESOURCES.disk_free_bytes) for name in self.names}
        left = {name: Resources(**{**RESOURCES.model_dump(), "disk_free_bytes": size}) for name, size in free.items()}
        return {name: one_well("m1").model_copy(update={"resources": left[name]}) for name in self.names}


def process(order: Order) -> subprocess.Popen[str]:
    """The program itself, told an order."""
    with TemporaryFile("w+") as told:
        told.write(order.model_dump_json())
        told.seek(0)
        command = [sys.executable, "-m", "serving.supply.carrying"]
        return subprocess.Popen(command, stdin=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
