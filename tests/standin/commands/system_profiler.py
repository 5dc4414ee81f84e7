"""`system_profiler`: the hardware overview and the Thunderbolt buses, in JSON and in text."""

from __future__ import annotations

import json
from typing import Any

from tests.standin.commands import thunderbolt
from tests.standin.commands.hardware import FIRST_WITH_THREE_KINDS_OF_CORES, cores, identifier, macos_version
from tests.standin.commands.replies import unsupported
from tests.standin.mac import Call, Command, Mac, Machine, Reply

GIB = 1 << 30
FIRMWARE = "18000.101.6"


def system_profiler(mac: Mac, call: Call) -> Reply:
    """One or more data types, in the order asked for; `-json` anywhere."""
    types = [argument for argument in call.argv[1:] if not argument.startswith("-")]
    options = [argument for argument in call.argv[1:] if argument.startswith("-")]
    if not types or set(types) - READERS.keys() or options not in ([], ["-json"]):
        return unsupported(call)
    if options:
        content = {name: READERS[name][0](mac) for name in types}
        return Reply(stdout=json.dumps(content, indent=2, sort_keys=True, separators=(",", " : ")) + "\n")
    return Reply(stdout="".join(READERS[name][1](mac) for name in types))


def _overview(mac: Mac) -> list[dict[str, Any]]:
    machine = mac.machine
    return [
        {
            "_name": "hardware_overview",
            "activation_lock_status": "activation_lock_disabled",
            "boot_rom_version": FIRMWARE,
            "chip_type": machine.chip,
            "machine_model": machine.model,
            "machine_name": machine.title,
            "model_number": "Z1CD00000LL/A",
            "number_processors": _processors(machine),
            "os_loader_version": FIRMWARE,
            "physical_memory": f"{machine.memory_bytes // GIB} GB",
            "platform_UUID": str(identifier(machine, "platform")).upper(),
            "provisioning_UDID": _provisioning(machine),
            "serial_number": _serial(machine),
        }
    ]


def _processors(machine: Machine) -> str:
    chip = cores(machine)
    fourth = ":0" if macos_version(machine) >= FIRST_WITH_THREE_KINDS_OF_CORES else ""
    return f"proc {chip.total}:{chip.fast[1]}:{chip.slow[1]}{fourth}"


def _serial(machine: Machine) -> str:
    return identifier(machine, "serial").hex[:10].upper()


def _provisioning(machine: Machine) -> str:
    digits = identifier(machine, "provisioning").hex.upper()
    return f"0000{digits[:4]}-{digits[4:20]}"


def _overview_text(mac: Mac) -> str:
    machine, chip = mac.machine, cores(mac.machine)
    kinds = " and ".join(f"{count} {name}" for name, count in (chip.fast, chip.slow))
    rows = {
        "Model Name": machine.title,
        "Model Identifier": machine.model,
        "Model Number": "Z1CD00000LL/A",
        "Chip": machine.chip,
        "Total Number of Cores": f"{chip.total} ({kinds})",
        "Memory": f"{machine.memory_bytes // GIB} GB",
        "System Firmware Version": FIRMWARE,
        "OS Loader Version": FIRMWARE,
        "Serial Number (system)": _serial(machine),
        "Hardware UUID": str(identifier(machine, "platform")).upper(),
        "Provisioning UDID": _provisioning(machine),
        "Activation Lock Status": "Disabled",
    }
    body = "".join(f"      {name}: {value}\n" for name, value in rows.items())
    return f"Hardware:\n\n    Hardware Overview:\n\n{body}\n"


READERS = {
    "SPHardwareDataType": (_overview, _overview_text),
    "SPThunderboltDataType": (thunderbolt.buses, thunderbolt.as_text),
}
COMMANDS: dict[str, Command] = {"/usr/sbin/system_profiler": system_profiler}
