"""Small reads: system integrity, enrolment, memory, application firewall, kernel objects, developer-tool stubs."""

from __future__ import annotations

from tests.standin.commands.boot_state import recall
from tests.standin.commands.hardware import has_rdma_tools
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

PAGE = 16384
FREE_PERCENT = 81
FIREWALL = "application-firewall"
"""Memory subject: whether the application firewall is on."""
KERNEL_OBJECTS = "kernel-objects"
"""Kept for a boot: class -> how many there are, where it is not none."""
RDMA_CLASS = "ThunderboltRDMA"
STATISTIC_WIDTH = 53
NO_TOOLS = """\
xcode-select: note: No developer tools were found, requesting install.
If developer tools are located at a non-default location on disk, use `sudo xcode-select --switch path/to/Xcode.app` \
to specify the Xcode that you wish to use for command line developer tools, and cancel the installation dialog.
See `man xcode-select` for more details."""
NO_DIRECTORY = "xcode-select: error: Unable to get active developer directory. Use `sudo xcode-select --switch path/to/\
Xcode.app` to set one (or see `man xcode-select`)"


def csrutil(_: Mac, call: Call) -> Reply:
    """`status`: system integrity protection is on, always."""
    if call.argv[1:] != ["status"]:
        return unsupported(call)
    return lines("System Integrity Protection status: enabled.")


def profiles(_: Mac, call: Call) -> Reply:
    """`status -type enrollment`: managed by nobody."""
    if call.argv[1:] != ["status", "-type", "enrollment"]:
        return unsupported(call)
    return lines("Enrolled via DEP: No", "MDM enrollment: No")


def developer_tool(_: Mac, __: Call) -> Reply:
    """`python3` and `git` before the Command Line Tools are installed."""
    return failure(NO_TOOLS, 1)


def xcode_select(_: Mac, call: Call) -> Reply:
    """`-p`: no developer tools here."""
    return failure(NO_DIRECTORY, 2) if call.argv[1:] in (["-p"], ["--print-path"]) else unsupported(call)


def memory_pressure(mac: Mac, call: Call) -> Reply:
    """`-Q`: the size of memory and the share that is free."""
    if call.argv[1:] != ["-Q"]:
        return unsupported(call)
    size = mac.machine.memory_bytes
    return lines(
        f"The system has {size} ({size // PAGE} pages with a page size of {PAGE}).",
        f"System-wide memory free percentage: {FREE_PERCENT}%",
    )


def vm_stat(mac: Mac, call: Call) -> Reply:
    """Pages by use: an idle Mac, whose free share is memory_pressure's."""
    if len(call.argv) > 1:
        return unsupported(call)
    pages = mac.machine.memory_bytes // PAGE
    counts = {
        "Pages free": pages * FREE_PERCENT // 100,
        "Pages active": pages // 12,
        "Pages inactive": pages // 20,
        "Pages speculative": pages // 500,
        "Pages throttled": 0,
        "Pages wired down": pages // 25,
        "Pages purgeable": pages // 400,
        '"Translation faults"': 1234567890,
        "Pages stored in compressor": 0,
        "Pages occupied by compressor": 0,
        "Swapins": 0,
        "Swapouts": 0,
    }
    rows = [f"{name}:{f'{count}.':>{STATISTIC_WIDTH - len(name) - 1}}" for name, count in counts.items()]
    return lines(f"Mach Virtual Memory Statistics: (page size of {PAGE} bytes)", *rows)


def socketfilterfw(mac: Mac, call: Call) -> Reply:
    """`--getglobalstate`, and `--setglobalstate on|off` as root."""
    match call.argv[1:]:
        case ["--getglobalstate"]:
            return _firewall(mac.memory.read(FIREWALL, False))
        case ["--setglobalstate", "on" | "off" as word]:
            if not call.is_root:
                return failure("Must be root to change settings.", 1)
            mac.memory.write(FIREWALL, word == "on")
            return _firewall(word == "on")
        case _:
            return unsupported(call)


def _firewall(on: bool) -> Reply:
    return lines(f"Firewall is {'enabled' if on else 'disabled'}. (State = {int(on)})")


def ioclasscount(mac: Mac, call: Call) -> Reply:
    """How many objects of each class the kernel holds; those of RDMA can be set for a boot by a fault."""
    if len(call.argv) == 1:
        return unsupported(call)
    held = recall(mac, KERNEL_OBJECTS, {})
    unknown = "<no such class>" if not has_rdma_tools(mac.machine) else 0
    return lines(*(f"{name} = {held.get(name, unknown if RDMA_CLASS in name else 0)}" for name in call.argv[1:]))


COMMANDS: dict[str, Command] = {
    "/usr/bin/csrutil": csrutil,
    "/usr/bin/profiles": profiles,
    "/usr/bin/git": developer_tool,
    "/usr/bin/python3": developer_tool,
    "/usr/bin/xcode-select": xcode_select,
    "/usr/bin/memory_pressure": memory_pressure,
    "/usr/bin/vm_stat": vm_stat,
    "/usr/libexec/ApplicationFirewall/socketfilterfw": socketfilterfw,
    "/usr/sbin/ioclasscount": ioclasscount,
}
