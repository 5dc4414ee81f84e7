"""What Apple's commands print on one Mac of a lab, in Apple's own layout, tabs and all.

Laid out after captures of macOS 26.3 to 27.0. A command that is not here is one that no Mac was asked so far: then it
is time to find out what it prints.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.states import network_outputs, settings_outputs, thunderbolt_outputs, updates_outputs
from tests.states.lab import GIB, Lab, Mac, Output

NOW = 1790153387
"""The time on the control machine."""


def output(lab: Lab, name: str, argv: tuple[str, ...]) -> Output:
    """What a command prints on a Mac, and its exit code."""
    text, code = _output(lab, name, " ".join(argv))
    logged = [line for (where, beginning), line in lab.logged.items() if where == name and argv[0] == beginning]
    return "".join([*logged, text]), code


def _output(lab: Lab, name: str, command: str) -> Output:
    for (where, beginning), printed in lab.printed.items():
        if where == name and command.startswith(beginning):
            return printed
    for beginning, told in COMMANDS.items():
        if command.startswith(beginning):
            printed = told(lab, lab.macs[name])
            return printed if isinstance(printed, tuple) else (printed, 0)
    raise LookupError(f"nobody has written down what `{command}` prints")


def _sw_vers(_: Lab, mac: Mac) -> str:
    extra = f"ProductVersionExtra:\t{mac.extra}\n" if mac.extra else ""
    return f"ProductName:\t\tmacOS\nProductVersion:\t\t{mac.macos}\n{extra}BuildVersion:\t\t{mac.build}\n"


def _hardware(_: Lab, mac: Mac) -> str:
    return (
        f"hw.model: {mac.model}\nhw.memsize: {mac.memory_gb * GIB}\nmachdep.cpu.brand_string: {mac.chip}\n"
        "kern.bootsessionuuid: 6F1C7B5E-0B7A-4E0C-9C37-0D6E4C1A2B3F\n"
    )


def _uname(_: Lab, mac: Mac) -> str:
    major, minor, *_ = mac.macos.split(".")
    return f"Darwin {int(major) - 1}.{minor}.0 arm64\n"


def _df(_: Lab, mac: Mac) -> str:
    free = int(mac.disk_free_gib * GIB) // 1024
    head = "Filesystem   1024-blocks      Used  Available Capacity iused      ifree %iused  Mounted on\n"
    root = f"/dev/disk3s1s1  1948455240  12345678 {free:>10}     2%  426000 4294000000    0%   /\n"
    return (
        head
        + f"/dev/disk3s5    1948455240 446343320 {free:>10}    23% 1526000 {free}    0%   /System/Volumes/Data\n"
        + root
    )


def _domains(_: Lab, mac: Mac) -> str:
    return f"AppleThunderboltRDMAProtectionDomain = {mac.domains}\n"


COMMANDS: dict[str, Callable[[Lab, Mac], str | Output]] = {
    **updates_outputs.COMMANDS,
    "/usr/bin/sw_vers": _sw_vers,
    "/usr/sbin/sysctl hw.model": _hardware,
    "/usr/sbin/sysctl iogpu.wired_limit_mb": lambda _, mac: f"iogpu.wired_limit_mb: {mac.wired_limit_mb}\n",
    "/usr/bin/uname": _uname,
    "/bin/df": _df,
    "/bin/date": lambda _, mac: f"{NOW + mac.clock_ahead}\n",
    "/usr/sbin/ioclasscount": _domains,
    **thunderbolt_outputs.COMMANDS,
    **network_outputs.COMMANDS,
    **settings_outputs.COMMANDS,
}
