"""Apple's chips, by what decides how fast they serve, and how people name them. Pure.

Bandwidths and cores are Apple's tables; floating point rates are cores times 128 times 2 times the clock. Those of M5
Pro, M5 Max and M3 Ultra were confirmed by several sources, the older ones are general knowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serving.errors import MachineUnknown


@dataclass(frozen=True)
class Chip:
    """One chip: memory bandwidth in GB/s, GPU cores, half precision rate in TFLOPS, Thunderbolt and its ports."""

    name: str
    bandwidth: float
    cores: int
    tflops: float
    thunderbolt: int
    ports: int
    memory_gb: tuple[int, ...]
    prompt_tflops: float | None = None
    """What its neural accelerators are seen to do with prompts, where it has them."""

    @property
    def generation(self) -> int:
        """4 of an M4."""
        return int(self.name[1])

    @property
    def is_known(self) -> bool:
        """Whether its speed can be told."""
        return self.bandwidth > 0


NAMELESS = Chip("", 0, 0, 0, 5, 8, ())
"""Stands for a chip that is none of those below: its memory counts as any other's, and its speed cannot be told."""

CHIPS = (
    Chip("M1", 68.25, 8, 2.6, 3, 2, (8, 16)),
    Chip("M1 Pro", 200, 16, 5.3, 4, 3, (16, 32)),
    Chip("M1 Max", 400, 32, 10.6, 4, 4, (32, 64)),
    Chip("M1 Ultra", 800, 48, 15.9, 4, 6, (64, 128)),
    Chip("M1 Ultra", 800, 64, 21.2, 4, 6, (64, 128)),
    Chip("M2", 100, 10, 3.6, 4, 2, (8, 16, 24)),
    Chip("M2 Pro", 200, 19, 6.8, 4, 4, (16, 32)),
    Chip("M2 Max", 400, 38, 13.6, 4, 4, (32, 64, 96)),
    Chip("M2 Ultra", 800, 76, 27.2, 4, 6, (64, 128, 192)),
    Chip("M3", 100, 10, 3.6, 3, 2, (8, 16, 24)),
    Chip("M3 Pro", 150, 18, 6.4, 4, 3, (18, 36)),
    Chip("M3 Max", 300, 30, 10.7, 4, 3, (36, 96)),
    Chip("M3 Max", 400, 40, 14.2, 4, 3, (48, 64, 128)),
    Chip("M3 Ultra", 819, 60, 21.3, 5, 6, (96, 256)),
    Chip("M3 Ultra", 819, 80, 28.4, 5, 6, (96, 256, 512)),
    Chip("M4", 120, 10, 4.3, 4, 3, (16, 24, 32)),
    Chip("M4 Pro", 273, 16, 7.4, 5, 3, (24, 48, 64)),
    Chip("M4 Pro", 273, 20, 9.2, 5, 3, (24, 48, 64)),
    Chip("M4 Max", 410, 32, 14.7, 5, 4, (36,)),
    Chip("M4 Max", 546, 40, 18.4, 5, 4, (48, 64, 128)),
    # The rate with prompts is one measurement on an M5 Max (49 TFLOPS), scaled by cores.
    Chip("M5", 153, 10, 4.6, 4, 3, (16, 24, 32), 12.3),
    Chip("M5 Pro", 307, 20, 9.2, 5, 3, (24, 48, 64), 24.5),
    Chip("M5 Max", 460, 32, 14.7, 5, 3, (36,), 39.2),
    Chip("M5 Max", 614, 40, 18.4, 5, 3, (48, 64, 128), 49.0),
)

_CHIP = re.compile(r"\b(M\d)(?:[ -]?(Ultra|Max|Pro))?\b", re.IGNORECASE)
_CORES = re.compile(r"\b(\d+)[ -]?(?:c|cores?|core GPU)\b", re.IGNORECASE)
_MEMORY = re.compile(r"(?:\b(\d+) ?x ?)?(?<!\d)(\d+) ?(?:GB|GiB)\b", re.IGNORECASE)
_PLAIN = re.compile(r"\b(\d{1,4})$")


@dataclass(frozen=True)
class Machine:
    """A Mac to plan with: what it is called here, its chip, and its memory in GB as Apple counts them (2**30)."""

    name: str
    chip: Chip
    memory_gb: int
    wired_limit_bytes: int | None = None
    """What its GPU may wire, where that was raised; None is macOS's own limit."""

    @property
    def usable_bytes(self) -> int:
        """What the GPU may wire. macOS's own limit was seen at 84 % of 128 GB and 74 % of 16 GB."""
        if self.wired_limit_bytes is not None:
            return self.wired_limit_bytes
        share = 0.84 if self.memory_gb >= 64 else 0.74
        return int(self.memory_gb * 2**30 * share)


def chip(text: str, memory_gb: int | None = None) -> Chip:
    """The chip a text names: `M3 Ultra`, `Apple M3 Ultra`, `Mac Studio M3 Ultra 60c`.

    Where it says no cores, the memory decides where it can, else the largest. Raises MachineUnknown.
    """
    found = _CHIP.search(text)
    name = " ".join(part.capitalize() for part in found.groups() if part) if found else None
    of_name = [each for each in CHIPS if each.name == name]
    if not of_name:
        known = ", ".join(dict.fromkeys(each.name for each in CHIPS))
        raise MachineUnknown(f"cannot tell which chip '{text}' is: needed one of {known}.")
    if cores := _CORES.search(text):
        return min(of_name, key=lambda each: abs(each.cores - int(cores[1])))
    return next((each for each in reversed(of_name) if memory_gb in each.memory_gb), of_name[-1])


def machine(text: str, name: str | None = None) -> Machine:
    """A machine by words: `M3 Ultra 512`, `Mac mini M4 Pro 64GB`. Raises MachineUnknown."""
    return machines(text, 1, name)[0]


def machines(text: str, count: int, name: str | None = None) -> list[Machine]:
    """So many machines by words, the ones with most memory first: `M3 Ultra (2x512GB+2x256GB)`, `M3 Ultra + M5 Max`."""
    parts = [part for part in re.split(r"\s\+\s", text) if _CHIP.search(part)]
    found = [each for part in parts or [text] for each in _of_one_chip(part)]
    if len(parts) < 2 and len(found) < count:
        found = (found * count)[:count]
    if len(found) < count:
        raise MachineUnknown(f"cannot tell {count} machines from '{text}': seen {len(found)}.")
    chosen = sorted(found, key=lambda each: -each[1])[:count]
    called = name or "mac"
    return [
        Machine(f"{called}-{number}" if count > 1 or name is None else called, each, memory)
        for number, (each, memory) in enumerate(chosen, start=1)
    ]


def _of_one_chip(text: str) -> list[tuple[Chip, int]]:
    memories = [int(size) for times, size in _MEMORY.findall(text) for _ in range(int(times or 1))]
    without_cores = _CORES.sub("", text)
    if not memories and (plain := _PLAIN.search(without_cores.strip())) and not _CHIP.fullmatch(plain[0]):
        memories = [int(plain[1])]
    if not memories:
        raise MachineUnknown(f"cannot tell how much memory '{text}' has: needed it in GB, as in 'M3 Ultra 512'.")
    return [(chip(text, memory), memory) for memory in memories]
