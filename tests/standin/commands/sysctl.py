"""`sysctl`: the kernel's values that a deploy asks for, and the one it sets.

`iogpu.wired_limit_mb` is lost at every reboot, and /etc/sysctl.conf is not read, both as on macOS.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.standin.commands.boot_state import keep, recall
from tests.standin.commands.hardware import cores, darwin_release
from tests.standin.commands.replies import unsupported
from tests.standin.mac import Call, Command, Mac, Reply

WIRED_LIMIT = "iogpu.wired_limit_mb"
FLAGS = {"-n", "-w", "-a"}


def sysctl(mac: Mac, call: Call) -> Reply:
    """Print, or set, each name in turn; any one that fails makes the exit code 1."""
    flags = {argument for argument in call.argv[1:] if argument.startswith("-")}
    names: Iterable[str] = [argument for argument in call.argv[1:] if not argument.startswith("-")]
    values = _values(mac)
    if flags - FLAGS or bool(names) == ("-a" in flags):
        return unsupported(call)
    replies = [_one(mac, call, values, name, bare="-n" in flags) for name in names or values]
    return Reply(
        stdout="".join(reply.stdout for reply in replies),
        stderr="".join(reply.stderr for reply in replies),
        code=max(reply.code for reply in replies),
    )


def _one(mac: Mac, call: Call, values: dict[str, object], asked: str, *, bare: bool) -> Reply:
    name, setting, new = asked.partition("=")
    if name not in values:
        return _wrong(f"unknown oid '{name}'")
    shown = f"{values[name]}" if bare else f"{name}: {values[name]}"
    if not setting:
        return Reply(stdout=f"{shown}\n")
    if name != WIRED_LIMIT:
        return _wrong(f"oid '{name}' is read only")
    if not new.isdigit():
        return _wrong(f"invalid integer '{new}'")
    if not call.is_root:
        return Reply(stdout=f"{shown}\n", stderr=f"sysctl: {asked}: Operation not permitted\n", code=1)
    keep(mac, WIRED_LIMIT, int(new))
    return Reply(stdout=f"{shown} -> {int(new)}\n")


def _wrong(sentence: str) -> Reply:
    return Reply(stderr=f"sysctl: {sentence}\n", code=1)


def _values(mac: Mac) -> dict[str, object]:
    machine, boot = mac.machine, mac.boot
    return {
        "kern.ostype": "Darwin",
        "kern.osrelease": darwin_release(machine),
        "kern.osversion": machine.build,
        "kern.osproductversion": machine.macos,
        "kern.hostname": f"{machine.name}.local",
        "kern.boottime": f"{{ sec = {boot.seconds}, usec = {boot.microseconds} }} {time.ctime(boot.seconds)}",
        "kern.bootsessionuuid": boot.session_uuid,
        "kern.memorystatus_vm_pressure_level": 1,
        "vm.swapusage": "total = 0.00M  used = 0.00M  free = 0.00M  (encrypted)",
        "hw.model": machine.model,
        "hw.machine": "arm64",
        "hw.memsize": machine.memory_bytes,
        "hw.pagesize": 16384,
        "hw.optional.arm64": 1,
        **_cores(mac),
        "machdep.cpu.brand_string": machine.chip,
        WIRED_LIMIT: recall(mac, WIRED_LIMIT, 0),
    }


def _cores(mac: Mac) -> dict[str, object]:
    chip = cores(mac.machine)
    values: dict[str, object] = dict.fromkeys(("hw.ncpu", "hw.physicalcpu", "hw.logicalcpu"), chip.total)
    values["hw.nperflevels"] = 2
    for level, (name, count) in enumerate((chip.fast, chip.slow)):
        for kind in ("physicalcpu", "physicalcpu_max", "logicalcpu", "logicalcpu_max"):
            values[f"hw.perflevel{level}.{kind}"] = count
        values[f"hw.perflevel{level}.name"] = name
    return values


COMMANDS: dict[str, Command] = {"/usr/sbin/sysctl": sysctl}
