"""The declaration: what a lab should be, as one tree of frozen, strict values.

An inventory fills it with plain data, so that pydantic sees the whole tree and every fault is told at once, with its
path. What one field can tell is checked in `declared`; what only several fields together can tell is checked in
`relations`, also when some fields are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from serving import relations
from serving.declared import (
    Account,
    Declared,
    Gateway,
    Headless,
    Link,
    Machine,
    MacOS,
    ManagedPython,
    Name,
    PacketFilter,
    Ports,
    Releases,
    Replica,
    Rolling,
    SystemPython,
    Thunderbolt,
    Weights,
)


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
    headless: Headless | None = Headless()
    packet_filter: PacketFilter | None = PacketFilter()
    rolling: Rolling = Rolling()
    releases: Releases = Releases()
    account: Account = Account()
    ports: Ports = Ports()

    @model_validator(mode="wrap")
    @classmethod
    def _whole(cls, data: Any, validate: Callable[[Any], Self]) -> Self:
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
