"""What a chip and a macOS version imply: cores, kernel release, and whether RDMA over Thunderbolt exists.

Core counts are those of the largest variant of each chip.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from tests.standin.mac import Machine

FIRST_WITH_RDMA = (26, 2)
FIRST_WITH_THREE_KINDS_OF_CORES = (26, 4)
"""From here on `number_processors` has a fourth field."""


@dataclass(frozen=True)
class Cores:
    """The two performance levels of a chip: (name, count), fastest first; and its kernel's code name."""

    fast: tuple[str, int]
    slow: tuple[str, int]
    kernel: str

    @property
    def total(self) -> int:
        """All cores."""
        return self.fast[1] + self.slow[1]


def _cores(fast: int, slow: int, kernel: str) -> Cores:
    return Cores(("Performance", fast), ("Efficiency", slow), kernel)


CHIPS = {
    "Apple M3 Ultra": _cores(24, 8, "T6032"),
    "Apple M4": _cores(4, 6, "T8132"),
    "Apple M4 Pro": _cores(10, 4, "T6041"),
    "Apple M4 Max": _cores(12, 4, "T6041"),
    "Apple M5 Max": Cores(("Super", 6), ("Performance", 12), "T6050"),
}


def cores(machine: Machine) -> Cores:
    """The chip's cores. Raises LookupError for a chip no stand-in has."""
    if machine.chip not in CHIPS:
        raise LookupError(f"cannot tell the cores of '{machine.chip}' on {machine.name}: known are {', '.join(CHIPS)}.")
    return CHIPS[machine.chip]


def macos_version(machine: Machine) -> tuple[int, ...]:
    """26.3.1 as (26, 3, 1)."""
    return tuple(int(part) for part in machine.macos.split("."))


def darwin_release(machine: Machine) -> str:
    """The kernel release of this macOS: one less in the major version."""
    major, minor, *_ = (*macos_version(machine), 0)
    return f"{major - 1}.{minor}.0"


def has_rdma_tools(machine: Machine) -> bool:
    """Whether this macOS brings rdma_ctl and the ibv commands."""
    return macos_version(machine) >= FIRST_WITH_RDMA


def speaks_rdma(machine: Machine) -> bool:
    """Whether its ports offer RDMA: switched on in Recovery, on Thunderbolt 5, under a macOS that has it."""
    return machine.rdma and machine.thunderbolt >= 5 and has_rdma_tools(machine)


def identifier(machine: Machine, what: str) -> uuid.UUID:
    """A made-up but stable identifier of one part of one machine."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{machine.name}.{what}")
