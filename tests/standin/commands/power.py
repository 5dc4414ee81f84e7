"""`shutdown`, `reboot`, `fdesetup` and `nvram`: the Mac as a machine that starts and stops."""

from __future__ import annotations

from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

FILEVAULT = "filevault"
"""Memory subject: whether FileVault is on."""
NVRAM = "nvram"
"""Memory subject: variables set from macOS; `rdma-enable` is the hardware's own."""
FROM_RECOVERY = "rdma-enable"


def shutdown(mac: Mac, call: Call) -> Reply:
    """`-r now` and `-h now`."""
    modes = {"-r": "reboot", "-h": "off"}
    if len(call.argv) != 3 or call.argv[1] not in modes or call.argv[2] != "now":
        return unsupported(call)
    if not call.is_root:
        return failure("shutdown: NOT super-user", 1)
    mac.power(modes[call.argv[1]])
    return lines("Shutdown NOW!")


def reboot(mac: Mac, call: Call) -> Reply:
    """Restart at once."""
    if len(call.argv) > 1:
        return unsupported(call)
    if not call.is_root:
        return failure("reboot: Operation not permitted", 1)
    mac.power("reboot")
    return Reply()


def fdesetup(mac: Mac, call: Call) -> Reply:
    """`status` and `supportsauthrestart`."""
    match call.argv[1:]:
        case ["status"]:
            return lines(f"FileVault is {'On' if mac.memory.read(FILEVAULT, False) else 'Off'}.")
        case ["supportsauthrestart"]:
            return lines("true")
        case _:
            return unsupported(call)


def nvram(mac: Mac, call: Call) -> Reply:
    """Read one variable, all with `-p`, or set one as root; RDMA's is out of reach outside Recovery."""
    variables = mac.memory.read(NVRAM, {"auto-boot": "true"})
    if mac.machine.rdma:
        variables = {**variables, FROM_RECOVERY: "1"}
    match call.argv[1:]:
        case ["-p"]:
            return lines(*(f"{name}\t{value}" for name, value in sorted(variables.items())))
        case [setting] if "=" in setting:
            return _set_variable(mac, call, *setting.split("=", 1))
        case [name] if name in variables:
            return lines(f"{name}\t{variables[name]}")
        case [name] if not name.startswith("-"):
            return failure(f"nvram: Error getting variable - '{name}': (iokit/common) data was not found", 1)
        case _:
            return unsupported(call)


def _set_variable(mac: Mac, call: Call, name: str, value: str) -> Reply:
    if not call.is_root or name == FROM_RECOVERY:
        return failure(f"nvram: Error setting variable - '{name}': (iokit/common) not permitted", 1)
    mac.memory.write(NVRAM, {**mac.memory.read(NVRAM, {"auto-boot": "true"}), name: value})
    return Reply()


COMMANDS: dict[str, Command] = {
    "/sbin/shutdown": shutdown,
    "/sbin/reboot": reboot,
    "/usr/bin/fdesetup": fdesetup,
    "/usr/sbin/nvram": nvram,
}
