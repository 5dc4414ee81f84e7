"""Which Mac this is: `sw_vers` and `uname`."""

from __future__ import annotations

from tests.standin.commands.hardware import cores, darwin_release
from tests.standin.commands.replies import lines, unsupported
from tests.standin.mac import Call, Command, Mac, Machine, Reply

UNAME_ALL = "snrvm"
"""Order of printing, and what `-a` stands for."""


def sw_vers(mac: Mac, call: Call) -> Reply:
    """Product name, version and build; one value alone with its option."""
    machine = mac.machine
    values = {"productName": "macOS", "productVersion": machine.macos, "buildVersion": machine.build}
    if len(call.argv) == 1:
        return lines(*(f"{name[0].upper()}{name[1:]}:\t\t{value}" for name, value in values.items()))
    option = call.argv[1].lstrip("-")
    return lines(values[option]) if len(call.argv) == 2 and option in values else unsupported(call)


def uname(mac: Mac, call: Call) -> Reply:
    """The kernel's own words, in uname's order whatever the order of the options."""
    options = "".join(argument.removeprefix("-") for argument in call.argv[1:]) or "s"
    wanted = set(UNAME_ALL if "a" in options else options)
    values = _uname(mac.machine)
    if wanted - values.keys() or not all(argument.startswith("-") for argument in call.argv[1:]):
        return unsupported(call)
    return lines(" ".join(values[letter] for letter in values if letter in wanted))


def _uname(machine: Machine) -> dict[str, str]:
    release = darwin_release(machine)
    kernel = f"root:xnu-12377.120.99.0.7~25/RELEASE_ARM64_{cores(machine).kernel}"
    return {
        "s": "Darwin",
        "n": f"{machine.name}.local",
        "r": release,
        "v": f"Darwin Kernel Version {release}: Tue Apr 14 21:52:16 PDT 2026; {kernel}",
        "m": "arm64",
        "p": "arm",
        "o": "Darwin",
    }


COMMANDS: dict[str, Command] = {"/usr/bin/sw_vers": sw_vers, "/usr/bin/uname": uname}
