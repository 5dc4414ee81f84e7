"""The deployed lab that faults are put into: who its replicas are, and where clients go."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from tests.faults.asking import Doorway
from tests.standin.lab import Lab

ROOT = Path(__file__).parents[2]
AGENT_PORT = 7440
REPLICAS: Mapping[str, tuple[str, ...]] = {"a": ("mac-1", "mac-2"), "b": ("mac-3", "mac-4")}
"""The machines of each replica, in rank order, as every stand-in inventory declares them."""

GATEWAY = "mac-1"


@dataclass(frozen=True)
class Place:
    """A rank of a replica."""

    replica: str
    rank: int

    @property
    def machine(self) -> str:
        """Whose Mac it is on."""
        return REPLICAS[self.replica][self.rank]


@dataclass(frozen=True)
class Scene:
    """A lab and the secrets that its cluster keeps on this machine."""

    lab: Lab
    cluster: str
    inventory: Path

    def gateway(self) -> Doorway:
        """The door that clients use."""
        words = shlex.split((ROOT / ".cidermill" / f"{self.cluster}.env").read_text(), comments=True)
        told = dict(word.split("=", 1) for word in words if "=" in word)
        return Doorway("gateway", told["OPENAI_BASE_URL"], told["OPENAI_API_KEY"])

    def gateway_of(self, machine: str) -> Doorway:
        """The same door, were it on another machine."""
        door = self.gateway()
        port = httpx.URL(door.url).port
        return replace(door, url=f"http://{self.lab.machine(machine).address}:{port}/v1")

    def endpoint(self, replica: str) -> Doorway:
        """The door of one replica."""
        return Doorway("endpoint", f"{self.agent(REPLICAS[replica][0])}/v1", self.token())

    def agent(self, machine: str) -> str:
        """Where the agent of a machine answers."""
        return f"http://{self.lab.machine(machine).address}:{AGENT_PORT}"

    def token(self) -> str:
        """What agents ask for."""
        return json.loads((ROOT / ".cidermill" / f"{self.cluster}.secrets.json").read_text())["cluster_token"]
