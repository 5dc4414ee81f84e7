"""The parts of a declaration: what one field can tell about itself is checked here.

`None` means *not managed*: Cidermill neither checks nor changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator


class Declared(BaseModel):
    """The base of everything declared: frozen, strict, and without room for a misspelt field."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def _parsed(parse: Callable[[str], object]) -> AfterValidator:
    """A check that keeps the text as it was written, so that the declaration stays plain JSON."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


_NAME = StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
Name = Annotated[str, _NAME]
Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
"""A name that clients have hard-wired, in whatever form its first owner gave it."""
Address = Annotated[str, _parsed(IPv4Address)]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$", max_length=253)]
Network = Annotated[str, _parsed(IPv4Network)]
Port = Annotated[int, Field(ge=1, le=65535)]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+(\.\d+)?$")]
Build = Annotated[str, StringConstraints(pattern=r"^\d{2}[A-Z]\d{1,4}[a-z]?$")]
"""A build of macOS, as `sw_vers -buildVersion` prints it."""
Layers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/\S*$")]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$"), _parsed(date.fromisoformat)]
Count = Annotated[int, Field(ge=1)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*[^\s?#/])?$")]
"""Without a slash at its end, and without a password in it."""


class Machine(Declared):
    """A Mac we own, and how the control machine reaches it."""

    name: Name
    address: Address
    via: Literal["ssh", "local"] = "ssh"
    ssh_user: str | None = None
    ssh_key: str | None = None
    ssh_known_hosts_file: str | None = None
    chip: str | None = None
    memory_gb: Annotated[int, Field(gt=0)] | None = None
    wired_limit_mb: Annotated[int, Field(gt=0)] | None = None


class Link(Declared):
    """One Thunderbolt cable between two machines; which ports it is in is found, not declared."""

    between: Annotated[tuple[Name, Name], Field(strict=False)]


class Thunderbolt(Declared):
    """What every machine with a link must show before anything on it is changed."""

    rdma: Literal["required"] | None = "required"
    minimum_speed_gbps: Literal[40, 80] = 80
    port_next_to_ethernet: Literal["refused"] | None = "refused"
    network: Network = "10.213.0.0/24"
    confirm_within_seconds: Annotated[int, Field(ge=15, le=3600)] = 120


class SecretReference(Declared):
    """Where on the control machine a secret is read, when it is needed; the secret itself is in no declaration."""

    file: Annotated[str, StringConstraints(pattern=r"^(/|~/)\S+$")] | None = None
    environment: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.environment is None):
            raise ValueError("a secret is either in a file or in an environment variable; declare exactly one")
        return self


class VolumeOwner(Declared):
    """An account on the machines that may install macOS: a volume owner with a secure token, and its password."""

    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
    password: SecretReference


class MacOSUpdate(Declared):
    """The one macOS that every machine is brought to; Apple offers it under a label that ends with its build."""

    version: Version
    build: Build
    volume_owner: VolumeOwner | None = None
    install_within_seconds: Annotated[int, Field(ge=60)] = 7200
    restart_within_seconds: Annotated[int, Field(ge=30)] = 3600
    mended_within_seconds: Annotated[int, Field(ge=15)] = 600


class MacOS(Declared):
    """Which macOS is good enough. Machines of one replica must run the very same build as well."""

    at_least: Version = "26.3"
    update: MacOSUpdate | None = None

    @model_validator(mode="after")
    def _is_good_enough(self) -> Self:
        if self.update is not None and _numbers(self.update.version) < _numbers(self.at_least):
            raise ValueError(f"an update to {self.update.version} would be older than at_least, {self.at_least}")
        return self


def _numbers(version: str) -> tuple[int, ...]:
    return (*map(int, version.split(".")), 0)[:3]


class Headless(Declared):
    """What makes a server out of a desktop. What was there before is recorded, and put back by removal."""

    sleep: Literal[False] | None = False
    restart_after_power_loss: bool | None = True
    restart_after_freeze: bool | None = True
    wake_on_network: bool | None = True
    automatic_updates: bool | None = False
    remote_login: Literal[True] | None = True
    file_vault: Literal["off", "told"] | None = "told"
    application_firewall: Literal["off", "told"] | None = "told"
    clock_within_seconds: Annotated[int, Field(ge=2)] | None = 30


class PacketFilter(Declared):
    """Who may reach agents and ranks: the machines of the cluster, and these networks as well."""

    also_from: Annotated[tuple[Network, ...], Field(strict=False)] = ()


class SystemPython(Declared):
    """An interpreter that is already on the machine."""

    kind: Literal["system"] = "system"
    path: AbsolutePath


class ManagedPython(Declared):
    """A CPython that uv fetches on the control machine and Cidermill lays on the machine."""

    kind: Literal["managed"] = "managed"
    version: Version = "3.12"


class Golden(Declared):
    """A question and the beginning of its only right answer, greedy: what a replica must say before it is ready."""

    question: Annotated[str, Field(min_length=1)]
    answer: Annotated[str, Field(min_length=1)]


class Price(Declared):
    """What a million tokens cost, in whatever currency the lab reckons in."""

    prompt_per_million: Annotated[float, Field(ge=0)]
    answer_per_million: Annotated[float, Field(ge=0)]


class Weights(Declared):
    """Where weights come from, what is made of them, and the names clients call them by."""

    name: Name
    path: AbsolutePath | None = None
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)] | None = None
    revision: Annotated[str, StringConstraints(pattern=r"^[^\s?#]+$", max_length=200)] | None = None
    endpoint: Url | None = None
    token: SecretReference | None = None
    quantise: Annotated[str, StringConstraints(pattern=r"^([234568]bit|mxfp4|mxfp8|nvfp4)$")] | None = None
    quantise_group: Literal[32, 64, 128] | None = None
    golden: Golden
    also_called: Annotated[tuple[Alias, ...], Field(strict=False)] = ()
    price: Price | None = None

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.path is None) == (self.repository is None):
            raise ValueError("weights come from a path or from a repository; declare exactly one")
        if self.repository is not None and self.revision is None:
            raise ValueError(f"no revision of {self.repository} is declared. Name a commit, a tag or a branch")
        stray = [name for name in ("revision", "endpoint", "token") if getattr(self, name) is not None]
        if self.path is not None and stray:
            raise ValueError(f"{', '.join(stray)} is for weights from a repository; these come from a path")
        if self.quantise_group is not None and (self.quantise is None or not self.quantise.endswith("bit")):
            raise ValueError("quantise_group is for weights that are quantised to a number of bits")
        return self


class Replica(Declared):
    """The machines, in rank order, that hold one copy of the weights between them."""

    name: Name
    machines: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
    weights: Name
    transport: Literal["jaccl", "jaccl-ring", "ring"] | None = None
    sharding: Literal["tensor", "pipeline"] | None = None
    context_tokens: Annotated[int, Field(ge=256)] = 8192
    slots: Annotated[int, Field(ge=1, le=64)] = 4
    queue: Annotated[int, Field(ge=0, le=1024)] = 64
    wait_seconds: Annotated[int, Field(ge=1)] = 300
    pipeline_layers: Layers | Literal["even", "by memory"] = "even"
    wired_limit: Literal["recommended"] | None = "recommended"
    ready_within_seconds: Annotated[int, Field(ge=5)] = 600
    restarts: Annotated[int, Field(ge=0, le=10)] = 3
    grace_seconds: Annotated[int, Field(ge=1, le=600)] = 60


class ClientKey(Declared):
    """A key that is handed out: whose it is, what it opens, how much of it, and until when."""

    owner: Name
    secret: SecretReference
    names: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    expires: Day | None = None


class External(Declared):
    """A backend that is none of ours: any server of OpenAI's API that streams."""

    name: Name
    url: Url
    serves: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Literal["openai"] = "openai"
    secret: SecretReference | None = None
    use: Literal["by name", "when no replica can"] = "by name"
    instead_of: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    context_tokens: Annotated[int, Field(ge=256)] = 8192


class Tls(Declared):
    """A certificate and its key, PEM files on the control machine, and the name that clients call the gateway by."""

    certificate: AbsolutePath
    key: AbsolutePath
    host: HostName | None = None


class Gateway(Declared):
    """The machine that carries LiteLLM, the port clients use, the keys they may show besides the lab's own, and what
    else may answer them."""

    machine: Name
    port: Port = 4000
    body_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    tls: Tls | None = None
    keys: Annotated[tuple[ClientKey, ...], Field(strict=False)] = ()
    external: Annotated[tuple[External, ...], Field(strict=False)] = ()


class Ports(Declared):
    """TCP ports on every machine: the agent's on its management address, the rank's on loopback, ring's per rank.

    The relay's is on loopback, where the gateway is; the supply's is open while weights are handed on, and no longer.
    """

    agent: Port = 7440
    rank: Port = 7441
    relay: Port = 7442
    supply: Port = 7443
    transport: Port = 32323


class Rolling(Declared):
    """How a change reaches the replicas, one after another."""

    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = 120
    least_speed: Annotated[float, Field(gt=0, le=1)] | None = 0.8


class Releases(Declared):
    """How many releases a Mac keeps of each daemon, the present one among them."""

    kept: Annotated[int, Field(ge=2, le=100)] = 3


class Account(Declared):
    """The hidden service account that agents, ranks and the gateway run as."""

    name: Annotated[str, StringConstraints(pattern=r"^_[a-z][a-z0-9]{1,30}$")] = "_cidermill"
    uid: Annotated[int, Field(ge=200, le=400)] = 341
