"""Which Mac this is and which macOS runs on it.

Relies on `sw_vers` (tab-separated lines, an optional ProductVersionExtra), on `sysctl` printing `key: value`, and on
`kern.bootsessionuuid`, which is new at every start. Checked against output of macOS 26.3.
"""

from __future__ import annotations

import re
from typing import TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, cannot_tell, number, understood

_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}")
_BUILD = re.compile(r"[0-9]{1,4}[A-Z][0-9]{1,6}[a-z]?")
_OIDS = ("hw.model", "hw.memsize", "machdep.cpu.brand_string", "kern.bootsessionuuid")


class MacValues(TypedDict):
    """One Mac. `build` is what machines of one replica must share; `boot_session` changes at every start."""

    macos: str
    build: str
    model: str
    chip: str
    memory_bytes: int
    boot_session: str
    kernel: str
    arch: str


class Mac(FactBase[MacValues | None]):
    """The machine's hardware and macOS; None only when it could not be asked at all."""

    def command(self) -> str:
        """One command for all of it."""
        return asking(
            macos=bounded(10, "/usr/bin/sw_vers"),
            hardware=bounded(10, "/usr/sbin/sysctl", *_OIDS),
            kernel=bounded(10, "/usr/bin/uname", "-srm"),
        )

    def process(self, output: list[str]) -> MacValues:
        """Raises FactProcessError when a value is missing, which is so on anything that is not a Mac."""
        found = answers(output)
        macos = _fields(understood(found["macos"], "which macOS this is"))
        hardware = _fields(understood(found["hardware"], "which Mac this is"))
        kernel = understood(found["kernel"], "which kernel runs").text.split()
        if len(kernel) != 3 or kernel[0] != "Darwin":
            raise cannot_tell("which kernel runs", f"uname printed {' '.join(kernel)!r}. Is it a Mac?")
        return {
            "macos": _shaped(_VERSION, _needed(macos, "ProductVersion")),
            "build": _shaped(_BUILD, _needed(macos, "BuildVersion")),
            "model": _needed(hardware, "hw.model"),
            "chip": _needed(hardware, "machdep.cpu.brand_string"),
            "memory_bytes": _bytes(_needed(hardware, "hw.memsize")),
            "boot_session": _needed(hardware, "kern.bootsessionuuid"),
            "kernel": kernel[1],
            "arch": kernel[2],
        }


def _fields(answer: Answer) -> dict[str, str]:
    pairs = (line.partition(":") for line in answer.lines)
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _needed(fields: dict[str, str], key: str) -> str:
    if not fields.get(key):
        raise cannot_tell("which Mac this is", f"{key} is missing from {fields}")
    return fields[key]


def _shaped(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise cannot_tell("which macOS this is", f"sw_vers printed {text!r}")
    return text


def _bytes(text: str) -> int:
    count = number(text)
    if count is None:
        raise cannot_tell("how much memory there is", f"hw.memsize is {text!r}")
    return count
