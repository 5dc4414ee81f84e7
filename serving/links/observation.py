"""What is seen of a machine, what is kept about it, and what is to be done: the values that `decision` works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface

from serving.declared import Declared

BRIDGE = "bridge0"
"""By device: the name of the service is localised."""

OUR_PREFIX = 30
"""Length of the networks on cables; on a cable's port an address of this kind is ours."""


@dataclass(frozen=True)
class Unreadable:
    """Why there is no telling."""

    text: str


@dataclass(frozen=True)
class Interface:
    """One network interface; `members` are a bridge's."""

    up: bool
    active: bool
    addresses: tuple[IPv4Interface, ...]
    """In order of assignment."""
    members: tuple[str, ...] = ()
    ipv6_first: bool = False
    """A routable IPv6 address is listed before IPv4; link-local ones are listed first and mean nothing."""


@dataclass(frozen=True)
class Port:
    """One Thunderbolt port of this machine, and the domain of the Mac at the other end of its cable."""

    receptacle: str
    interface: str
    facing: str | None = None


@dataclass(frozen=True)
class Fabric:
    """Every interface by name, every Thunderbolt port by its domain."""

    interfaces: Mapping[str, Interface]
    ports: Mapping[str, Port]

    @property
    def bridged(self) -> tuple[str, ...]:
        """Who is in the bridge."""
        bridge = self.interfaces.get(BRIDGE)
        return () if bridge is None else bridge.members


@dataclass(frozen=True)
class Filter:
    """The packet filter; `rules` are our anchor's, as pfctl prints them."""

    enabled: bool
    evaluated: bool
    """Whether the main ruleset asks anchors like ours at all."""
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """One look at a machine. What nobody needs to know was not asked, and is None."""

    fabric: Fabric | Unreadable
    default_route: str | Unreadable | None = None
    """The interface of the default route."""
    wired_limit_mb: int | Unreadable | None = None
    filter: Filter | Unreadable | None = None


@dataclass(frozen=True)
class Clock:
    """Now, by a clock that no one sets and starts with each boot, and by the one that survives a boot."""

    boot: str
    monotonic: float
    wall: float


@dataclass(frozen=True)
class Change:
    """One command that changes something; `subject` is a peer's name, `wired limit` or `packet filter`."""

    subject: str
    arguments: tuple[str, ...]
    text: str = ""
    """Its standard input."""


class PortBefore(Declared):
    """A port as it was."""

    bridged: bool
    up: bool
    addresses: tuple[str, ...]


class Before(Declared):
    """How a machine was before something of it was changed, in one boot; a reboot puts all of it back by itself."""

    boot: str
    ports: Mapping[str, PortBefore] = {}
    wired_limit_mb: int | None = None
    filter_enabled: bool | None = None
    filter_rules: str | None = None
    """The text our anchor was loaded from."""
    filter_referred: bool = False
    """Whether we held a reference that keeps the filter enabled."""


class Trial(Declared):
    """An unconfirmed release that changed something, until when it may, and what it goes back to."""

    release: str
    deadline: float
    """By the monotonic clock of `before.boot`."""
    wall_deadline: float
    before: Before


class Held(Declared):
    """What we hold of the packet filter in one boot."""

    boot: str
    rules: str | None = None
    """The text our anchor was loaded from."""
    printed: tuple[str, ...] = ()
    """How pfctl printed it right after."""
    token: str | None = None
    """Names our reference; empty when pfctl told none."""


@dataclass(frozen=True)
class Kept:
    """What the state directory says, as far as it is about this boot or this release."""

    confirmed: bool = False
    reverted: bool = False
    before: Before | None = None
    trial: Trial | None = None
    inherited: Trial | None = None
    """The trial of another release: its changes are still unconfirmed."""
    held: Held | None = None
