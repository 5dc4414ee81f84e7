"""The default rack, and `rack.json`: the one place where the hardware's truth is written down."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.standin.mac import Cable, Machine, Rack

GIB = 1 << 30
FIRST_FREE_RECEPTACLE = 2  # receptacle 1 of a Mac Studio is next to Ethernet and must not carry RDMA


def default_rack() -> Rack:
    """Four Mac Studios, each cabled to each other."""
    names = [f"mac-{number}" for number in range(1, 5)]
    machines = {name: mac_studio(name, f"10.77.0.{10 + number}") for number, name in enumerate(names, start=1)}
    return Rack(machines, full_mesh(names))


def mac_studio(name: str, address: str) -> Machine:
    """A Mac Studio with M3 Ultra and 512 GiB, RDMA switched on."""
    return Machine(
        name=name,
        address=address,
        title="Mac Studio",
        model="Mac15,14",
        chip="Apple M3 Ultra",
        memory_bytes=512 * GIB,
        thunderbolt=5,
        ports={receptacle: f"en{receptacle + 1}" for receptacle in range(1, 7)},
    )


def full_mesh(names: list[str]) -> tuple[Cable, ...]:
    """One cable between any two Macs, each end in the lowest receptacle that is still free."""
    free = dict.fromkeys(names, FIRST_FREE_RECEPTACLE)
    cables = []
    for one, other in combinations(names, 2):
        cables.append(Cable(((one, free[one]), (other, free[other]))))
        free[one] += 1
        free[other] += 1
    return tuple(cables)


def write_rack(file: Path, rack: Rack) -> None:
    """Replace the file in one step: a reader sees the rack before or after, never between."""
    new = file.with_name(f".{file.name}.new")
    tree = asdict(rack)
    del tree["off"]  # seen afresh by whoever asks
    new.write_text(json.dumps(tree, indent=1))
    os.replace(new, file)


def read_rack(file: Path | str, directory: int | None = None) -> Rack:
    """The rack as it is now; with `directory`, an open directory that `file` is relative to."""
    with open(file, opener=lambda path, flags: os.open(path, flags, dir_fd=directory)) as stream:
        tree = json.load(stream)
    machines = {name: _machine(fields) for name, fields in tree["machines"].items()}
    return Rack(machines, tuple(_cable(fields) for fields in tree["cables"]))


def read_powered_rack(file: str, directory: int) -> Rack:
    """The rack as it is now, with the Macs that are off: those without a first process."""
    rack = read_rack(file, directory)
    on = {name.removesuffix(".pid1") for name in os.listdir(directory) if name.endswith(".pid1")}
    return replace(rack, off=frozenset(rack.machines.keys() - on))


def _machine(fields: dict[str, Any]) -> Machine:
    ports = {int(number): port for number, port in fields["ports"].items()}
    return Machine(**fields | {"ports": ports, "offered": tuple(fields["offered"])})


def _cable(fields: dict[str, Any]) -> Cable:
    (one, one_receptacle), (other, other_receptacle) = fields["ends"]
    return Cable(**fields | {"ends": ((one, one_receptacle), (other, other_receptacle))})


def with_machine(rack: Rack, machine: Machine) -> Rack:
    """The rack with one Mac's hardware or macOS exchanged."""
    return replace(rack, machines=rack.machines | {machine.name: machine})


def with_cable(rack: Rack, old: Cable, new: Cable) -> Rack:
    """The rack with one cable exchanged."""
    return replace(rack, cables=tuple(new if cable is old else cable for cable in rack.cables))
