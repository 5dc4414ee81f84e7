"""What a machine's Python can load, in uv's words. An unknown platform is refused, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from operations.facts.environment import InterpreterValues
from operations.transfer import CannotSend

APPLE = "aarch64-apple-darwin"
# The glibc versions that uv 0.13 has a platform for.
_GLIBC_MINORS = (28, *range(31, 41))


class UnknownPlatform(CannotSend):
    """There are no wheels for this machine; its text is meant for a person."""


@dataclass(frozen=True)
class Target:
    """Where packages are to run: uv's platform, the Python's minor version, and for a Mac its macOS.

    With its macOS, wheels made for that macOS are taken; without, MLX would come as a build that has no JACCL.
    """

    platform: str
    python: str
    macos: str | None = None


def target_for(interpreter: InterpreterValues, macos: str) -> Target:
    """The target for a Python that is on the machine already. Raises UnknownPlatform."""
    platform = platform_for(interpreter)
    minor = ".".join(interpreter["version"].split(".")[:2])
    return Target(platform, minor, _major(macos) if platform == APPLE else None)


def managed_target(version: str, macos: str) -> Target:
    """The target for a Python that we lay on a Mac ourselves."""
    return Target(APPLE, ".".join(version.split(".")[:2]), _major(macos))


def platform_for(interpreter: InterpreterValues) -> str:
    """uv's name of an interpreter's platform. Raises UnknownPlatform."""
    platform, (library, version) = interpreter["platform"], interpreter["libc"] or ("", "")
    if platform == "darwin-arm64":
        return APPLE
    linux = re.fullmatch(r"linux-(x86_64|aarch64)", platform)
    glibc = re.fullmatch(r"2\.(\d+)", version) if library == "glibc" else None
    if linux and glibc and (known := [minor for minor in _GLIBC_MINORS if minor <= int(glibc[1])]):
        return f"{linux[1]}-manylinux_2_{max(known)}"
    raise UnknownPlatform(
        f"cannot choose packages for platform {platform!r} with C library {' '.join((library, version)).strip()!r}: "
        "needed macOS on arm64, or Linux with glibc 2.28 or newer. Declare another python= for this machine."
    )


def _major(macos: str) -> str:
    # Wheels are tagged by major version; a point release of macOS must not make another environment.
    return f"{macos.split('.')[0]}.0"
