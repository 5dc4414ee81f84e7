"""The declaration: what a lab should be, as one tree of frozen, strict values.

An inventory fills it with plain data, so that pydantic sees the whole tree and every fault is told at once, with its
path. What one field can tell is checked here; what only several fields together can tell is checked in `relations`,
also when some fields are wrong. `None` means *not managed*: Cidermill neither checks nor changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError


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
Address = Annotated[str, _parsed(IPv4Address)]
Network = Annotated[str, _parsed(IPv4Network)]
Port = Annotated[int, Field(ge=1, le=65535)]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+(\.\d+)?$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/\S*$")]


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


class Link(Declared):
    """One Thunderbolt cable between two machines; which ports it is in is found, not declared."""

    between: Annotated[tuple[Name, Name], Field(strict=False)]


class Thunderbolt(Declared):
    """What every machine with a link must show before anything on it is changed."""

    rdma: Literal["required"] | None = "required"
    minimum_speed_gbps: Literal[40, 80] = 80
    network: Network = "10.213.0.0/24"


class MacOS(Declared):
    """Which macOS is good enough. Machines of one replica must run the very same build as well."""

    at_least: Version = "26.3"


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


class Weights(Declared):
    """A weights directory on the control machine, and the name clients call it by."""

    name: Name
    path: AbsolutePath
    golden: Golden


class Replica(Declared):
    """The machines, in rank order, that hold one copy of the weights between them."""

    name: Name
    machines: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
    weights: Name
    transport: Literal["jaccl", "jaccl-ring", "ring"] | None = None
    sharding: Literal["tensor", "pipeline"] | None = None
    context_tokens: Annotated[int, Field(ge=256)] = 8192
    slots: Annotated[int, Field(ge=1, le=64)] = 4
    ready_within_seconds: Annotated[int, Field(ge=5)] = 600
    restarts: Annotated[int, Field(ge=0, le=10)] = 3


class Gateway(Declared):
    """The machine that carries LiteLLM, and the port clients use."""

    machine: Name
    port: Port = 4000


class Ports(Declared):
    """TCP ports on every machine: the agent's on its management address, the rank's on loopback, ring's per rank."""

    agent: Port = 7440
    rank: Port = 7441
    transport: Port = 32323


class Account(Declared):
    """The hidden service account that agents, ranks and the gateway run as."""

    name: Annotated[str, StringConstraints(pattern=r"^_[a-z][a-z0-9]{1,30}$")] = "_cidermill"
    uid: Annotated[int, Field(ge=200, le=400)] = 341


class Cluster(Declared):
    """A whole lab. Source: one file in `inventories/`."""

    name: Name
    machines: Annotated[tuple[Machine, ...], Field(strict=False, min_length=1)]
    links: Annotated[tuple[Link, ...], Field(strict=False)] = ()
    weights: Annotated[tuple[Weights, ...], Field(strict=False, min_length=1)]
    replicas: Annotated[tuple[Replica, ...], Field(strict=False, min_length=1)]
    gateway: Gateway
    python: Annotated[SystemPython | ManagedPython, Field(discriminator="kind")] = ManagedPython()
    macos: MacOS | None = MacOS()
    thunderbolt: Thunderbolt = Thunderbolt()
    account: Account = Account()
    ports: Ports = Ports()

    @model_validator(mode="wrap")
    @classmethod
    def _whole(cls, data: Any, validate: Callable[[Any], Self]) -> Self:
        from serving import relations

        faults: list[InitErrorDetails] = []
        cluster: Self | None = None
        try:
            cluster = validate(data)
        except ValidationError as error:
            faults += [_detail(e["loc"], e["msg"], e.get("input")) for e in error.errors(include_url=False)]
        faults += [_detail(fault.path, fault.message, None) for fault in relations.faults(data)]
        if cluster is None or faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return cluster

    @property
    def system_python(self) -> str | None:
        """The path of the Python that is on the machines already, if that is the one declared."""
        return self.python.path if isinstance(self.python, SystemPython) else None

    def machine(self, name: str) -> Machine:
        """The machine of that name."""
        return next(machine for machine in self.machines if machine.name == name)

    def weights_of(self, replica: Replica) -> Weights:
        """The weights a replica serves."""
        return next(weights for weights in self.weights if weights.name == replica.weights)

    def replica_of(self, machine: str) -> Replica | None:
        """The replica a machine belongs to, if any."""
        return next((replica for replica in self.replicas if machine in replica.machines), None)

    def neighbours(self, machine: str) -> tuple[str, ...]:
        """The machines at the other ends of a machine's links, in the order the links are declared."""
        ends = [link.between for link in self.links if machine in link.between]
        return tuple(b if a == machine else a for a, b in ends)


def _detail(path: tuple[int | str, ...], message: str, seen: object) -> InitErrorDetails:
    # The message may hold braces; pydantic would take them for placeholders, so it goes in as one.
    return InitErrorDetails(type=PydanticCustomError("fault", "{message}", {"message": message}), loc=path, input=seen)
