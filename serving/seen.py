"""What was read off a Mac, as the verdict wants it. Field names are those of the facts in `operations.facts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Observed(BaseModel):
    """The base of everything read: as strict as what is declared, but a fact may tell more than is asked for."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Problem(Observed):
    """A subject that could not be read: cannot tell is never good."""

    problem: str


class Mac(Observed):
    """One Mac's identity: sw_vers, sysctl, uname."""

    macos: str
    build: str
    model: str
    chip: str
    memory_bytes: int
    boot_session: str
    kernel: str
    arch: str

    @property
    def memory_gb(self) -> int:
        """Memory in GiB, as Apple's own names have it."""
        return self.memory_bytes // 2**30


class Peer(Observed):
    """What a Thunderbolt port sees: a Mac (with a domain) or a dock (without); depth 1 is directly at the port."""

    domain_uuid: str | None
    model: str
    rdma: bool
    depth: int


class Port(Observed):
    """One Thunderbolt receptacle of this Mac."""

    receptacle: int
    interface: str | None
    domain_uuid: str
    speed: str
    """As macOS words it: `80 Gb/s` with a link, `Up to 120 Gb/s` without."""
    peers: Annotated[tuple[Peer, ...], Field(strict=False)]

    @property
    def speed_gbps(self) -> int | None:
        """The number in `speed`; None when there is none."""
        numbers = [int(word) for word in self.speed.split() if word.isdigit()]
        return numbers[0] if numbers else None


class Rdma(Observed):
    """The RDMA ladder: switched on, devices there, ports active."""

    status: Literal["enabled", "disabled", "absent"]
    devices: Annotated[tuple[str, ...], Field(strict=False)]
    ports: dict[str, str]
    problem: str | None = None


class Interpreter(Observed):
    """A Python that is already on the machine, by its own account."""

    version: str
    platform: str
    libc: Annotated[tuple[str, str], Field(strict=False)] | None = None


class Seen(Observed):
    """Everything read off one Mac before anything on it is changed."""

    mac: Mac | Problem
    ports: Annotated[tuple[Port, ...], Field(strict=False)] | Problem
    rdma: Rdma | Problem
    interpreter: Interpreter | Problem | None = None


def lab(facts: Mapping[str, object]) -> dict[str, Seen]:
    """Everything read off every Mac, by machine. Raises pydantic's ValidationError for a fact of another shape."""
    return {machine: Seen.model_validate(read) for machine, read in facts.items()}
