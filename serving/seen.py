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
    """Whether it offers RDMA, which a Mac does only while RDMA is enabled on it."""
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
        numbers = [int(word) for word in self.speed.split() if word.isascii() and word.isdigit()]
        return numbers[0] if numbers else None


class Rdma(Observed):
    """The RDMA ladder: switched on, devices there, ports active."""

    status: Literal["enabled", "disabled", "absent"]
    devices: Annotated[tuple[str, ...], Field(strict=False)]
    ports: dict[str, str]
    problem: str | None = None


class Interface(Observed):
    """One network interface, by ifconfig."""

    up: bool
    active: bool
    """`status: active`; RUNNING among the flags is no sign of a cable."""
    ipv4: Annotated[tuple[str, ...], Field(strict=False)]
    """`10.213.0.1/30`, in order of assignment."""
    ipv6_first: bool = False
    """A routable IPv6 address comes before the first IPv4 one: JACCL (MLX 0.32.4) uses the second GID."""


class Network(Observed):
    """Every network interface, and who is in macOS's Thunderbolt bridge."""

    interfaces: dict[str, Interface]
    bridge: Annotated[tuple[str, ...], Field(strict=False)] | None
    """Members of bridge0; None when there is no such bridge."""
    default_route: str | None
    """The interface of the default route."""


class Settings(Observed):
    """What a headless server needs set: pmset, systemsetup, softwareupdate, launchctl, fdesetup, the firewall."""

    power: dict[str, int]
    """`pmset -g custom`; a name that is missing is not supported on this Mac."""
    restart_after_freeze: bool | None
    """None when this Mac does not support it."""
    updates: dict[str, bool | None]
    """`schedule` by softwareupdate and the keys of its preferences; None for a key that was never written."""
    remote_login: bool
    file_vault: bool
    application_firewall: bool


class PacketFilter(Observed):
    """macOS's packet filter: whether it is on, and the rules of our anchor as pfctl prints them."""

    enabled: bool
    rules: Annotated[tuple[str, ...], Field(strict=False)]


class Resources(Observed):
    """What there is to use up."""

    disk_free_bytes: int
    """On the volume that holds /opt."""
    wired_limit_mb: int
    """0 means macOS's own limit."""
    clock_ahead_seconds: float
    """How far this Mac's clock is ahead of the control machine's."""
    protection_domains: int | None
    """RDMA protection domains the kernel holds (a device has 11); None when this macOS does not count them."""


class Interpreter(Observed):
    """A Python that is already on the machine, by its own account."""

    version: str
    platform: str
    libc: Annotated[tuple[str, str], Field(strict=False)] | None = None


class Offer(Observed):
    """One update that Apple offers this Mac: what `softwareupdate --list` prints of it."""

    label: str
    title: str
    version: str
    size_kib: int
    restart: bool


class Updates(Observed):
    """What stands ready for an update of macOS, and what stands in its way."""

    offered: Annotated[tuple[Offer, ...], Field(strict=False)] | None
    """None when the declared build runs already: then nobody was asked."""
    volume_owner: bool | None
    """Whether the account owns the volume; None when there was no account to ask for."""
    secure_token: bool | None
    under_way: Literal["install", "fetch", "another"] | None
    """What a softwareupdate does just now that we began; `another` was begun by somebody else."""
    on_mains: bool


class Seen(Observed):
    """Everything read off one Mac before anything on it is changed."""

    mac: Mac | Problem
    ports: Annotated[tuple[Port, ...], Field(strict=False)] | Problem
    rdma: Rdma | Problem
    network: Network | Problem
    settings: Settings | Problem
    packet_filter: PacketFilter | Problem
    resources: Resources | Problem
    interpreter: Interpreter | Problem | None = None
    updates: Updates | Problem | None = None
    """None where no update of macOS is declared."""


def lab(facts: Mapping[str, object]) -> dict[str, Seen]:
    """Everything read off every Mac, by machine. Raises pydantic's ValidationError for a fact of another shape."""
    return {machine: Seen.model_validate(read) for machine, read in facts.items()}
