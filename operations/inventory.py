"""From a declaration to pyinfra's hosts. Runs while the inventory file loads, before the first connection.

pyinfra takes every list of tuples in an inventory file for a group of hosts, and executes the file outside any
package, so declarations are checked here and hosts made here. Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.host import Host

from operations.ssh import prompt_transport

D = TypeVar("D", bound=BaseModel)

_LOCAL = "@local"


class Reachable(Protocol):
    """A machine, as far as connecting to it goes."""

    @property
    def name(self) -> str:
        """What the machine is called everywhere."""
        ...

    @property
    def address(self) -> str:
        """Its management address."""
        ...

    @property
    def via(self) -> Literal["ssh", "local"]:
        """How the control machine reaches it."""
        ...

    @property
    def ssh_user(self) -> str | None:
        """Whom to log in as."""
        ...

    @property
    def ssh_key(self) -> str | None:
        """Path of a private key on the control machine."""
        ...

    @property
    def ssh_known_hosts_file(self) -> str | None:
        """Path of a known_hosts file on the control machine."""
        ...


class Fleet(Protocol):
    """A declaration of machines that can be written down as JSON."""

    @property
    def machines(self) -> Sequence[Reachable]:
        """All machines."""
        ...

    def model_dump_json(self) -> str:
        """The whole declaration."""
        ...


def declare(kind: type[D], **fields: Any) -> D:
    """The declaration, valid as a whole. Raises InventoryError with every fault, each as `path: message`."""
    try:
        return kind(**fields)
    except ValidationError as error:
        faults = _faults(error, kind.__name__.lower())
    listed = "\n".join(f"    {fault}" for fault in faults)
    raise InventoryError(f"this declaration cannot be used; nothing was connected to.\n{listed}")


def hosts(fleet: Fleet) -> list[tuple[str, dict[str, Any]]]:
    """pyinfra's host entries, with the declaration as `host.data.declaration` and the name as `host.data.machine`."""
    declaration = fleet.model_dump_json()
    return [
        (
            machine.name if machine.via == "ssh" else _LOCAL,
            {"machine": machine.name, "declaration": declaration, **_connection(machine)},
        )
        for machine in fleet.machines
    ]


def machine_name(host: Host) -> str:
    """The machine behind a host: its declared name, also where pyinfra calls it `@local`."""
    return str(cast("Any", host.data).get("machine", host.name))


def _connection(machine: Reachable) -> dict[str, Any]:
    if machine.via == "local":
        return {}
    files = {"ssh_key": machine.ssh_key, "ssh_known_hosts_file": machine.ssh_known_hosts_file}
    given = {name: str(Path(path).expanduser()) for name, path in files.items() if path is not None}
    if machine.ssh_user is not None:
        given["ssh_user"] = machine.ssh_user
    return {
        "ssh_hostname": machine.address,
        "ssh_paramiko_connect_kwargs": {"transport_factory": prompt_transport},
        **given,
    }


def _faults(error: ValidationError, whole: str) -> list[str]:
    found = error.errors(include_url=False)
    places = [fault["loc"] for fault in found]
    lines = [
        f"{'/'.join(map(str, fault['loc'])) or whole}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in found
        if not (fault["type"] == "too_short" and _has_faults_within(fault["loc"], places))
    ]
    return list(dict.fromkeys(lines))


def _has_faults_within(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    # pydantic calls a list too short when the items that were meant to fill it are faulty.
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)
