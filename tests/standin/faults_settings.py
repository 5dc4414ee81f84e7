"""Faults of how macOS is set, made with its own commands; at the Mac where no command does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.standin.fault import Fault, hardware, memory, run, setting

if TYPE_CHECKING:
    from tests.standin.lab import Lab

# Subjects and keys of the Mac's memory, by their names in `commands`: an inventory imports this, and not all of those.
THIS_BOOT, FILEVAULT, KERNEL_OBJECTS, WEDGED = "this-boot", "filevault", "kernel-objects", "rdma-wedged"
FIREWALL_STATE = "application-firewall"
PASSWORDS, OTHERS = "passwords", {"admin": "Tr0ub4dor&3"}
PMSET, SYSTEMSETUP, SYSCTL = "/usr/bin/pmset", "/usr/sbin/systemsetup", "/usr/sbin/sysctl"
SOFTWAREUPDATE, DEFAULTS = "/usr/sbin/softwareupdate", "/usr/bin/defaults"
FIREWALL = "/usr/libexec/ApplicationFirewall/socketfilterfw"
WIRED_LIMIT = "iogpu.wired_limit_mb"
UPDATES, INSTALLS = "/Library/Preferences/com.apple.SoftwareUpdate", "AutomaticallyInstallMacOSUpdates"
PROTECTION_DOMAINS = "AppleThunderboltRDMAProtectionDomain"
DOMAINS_OF_A_DEVICE = 11


def _power(line: str, key: str, bad: str) -> Fault:
    def read(lab: Lab, name: str) -> str:
        rows = [row.split() for row in run(lab, name, PMSET, "-g", "custom").splitlines()]
        return next(row[1] for row in rows if row[0] == key)

    return setting(line, read, lambda lab, name, value: _silently(lab, name, PMSET, "-a", key, value), bad)


def _silently(lab: Lab, name: str, *argv: str) -> None:
    run(lab, name, *argv)


def _last_word(lab: Lab, name: str, *argv: str) -> str:
    return run(lab, name, *argv).split()[-1].lower()


def _read_updates(lab: Lab, name: str) -> list[Any]:
    """Whether it looks for updates, whether it installs them, and whether there is a file to say so."""
    installs = lab.call(name, DEFAULTS, "read", UPDATES, INSTALLS)
    there = (lab.root(name) / f"{UPDATES}.plist".lstrip("/")).exists()
    schedule = _last_word(lab, name, SOFTWAREUPDATE, "--schedule")
    return [schedule, None if installs.code else installs.stdout.strip(), there]


def _write_updates(lab: Lab, name: str, value: list[Any]) -> None:
    schedule, installs, there = value
    if _last_word(lab, name, SOFTWAREUPDATE, "--schedule") != schedule:
        run(lab, name, SOFTWAREUPDATE, "--schedule", schedule)
    if installs is None:
        lab.call(name, DEFAULTS, "delete", UPDATES, INSTALLS)
    else:
        run(lab, name, DEFAULTS, "write", UPDATES, INSTALLS, "-bool", "true" if installs == "1" else "false")
    if not there:
        (lab.root(name) / f"{UPDATES}.plist".lstrip("/")).unlink(missing_ok=True)


def _read_firewall(lab: Lab, name: str) -> bool | None:
    """Whether it is on; None where nobody ever said."""
    return memory(lab, name).read(FIREWALL_STATE, None)


def _write_firewall(lab: Lab, name: str, on: bool | None) -> None:
    run(lab, name, FIREWALL, "--setglobalstate", "on" if on else "off")
    if on is None:
        _forget(lab, name, FIREWALL_STATE)


def _read_file_vault(lab: Lab, name: str) -> bool | None:
    return memory(lab, name).read(FILEVAULT, None)


def _write_file_vault(lab: Lab, name: str, on: bool | None) -> None:
    memory(lab, name).write(FILEVAULT, bool(on))
    if on is None:
        _forget(lab, name, FILEVAULT)


def _read_passwords(lab: Lab, name: str) -> dict[str, str] | None:
    return memory(lab, name).read(PASSWORDS, None)


def _write_passwords(lab: Lab, name: str, passwords: dict[str, str] | None) -> None:
    memory(lab, name).write(PASSWORDS, passwords or {})
    if passwords is None:
        _forget(lab, name, PASSWORDS)


def _forget(lab: Lab, name: str, subject: str) -> None:
    (memory(lab, name).directory / f"{subject}.json").unlink()


def _of_this_boot(line: str, key: str, value: Any) -> Fault:
    """Something the kernel got into; a restart ends it."""

    def put(lab: Lab, name: str) -> None:
        session = run(lab, name, SYSCTL, "-n", "kern.bootsessionuuid").strip()
        kept = memory(lab, name)
        before = kept.read(THIS_BOOT, {"session": None, "values": {}})
        values = before["values"] if before["session"] == session else {}
        kept.write(THIS_BOOT, {"session": session, "values": {**values, key: value}})

    def mend(lab: Lab, name: str) -> None:
        kept = memory(lab, name)
        before = kept.read(THIS_BOOT, {"session": None, "values": {}})
        if key in before["values"]:
            values = {held: one for held, one in before["values"].items() if held != key}
            kept.write(THIS_BOOT, {**before, "values": values})

    return Fault(line, put, mend)


FAULTS: dict[str, Fault] = {
    "autorestart-off": _power("it stays off after a power failure", "autorestart", "0"),
    "clock-off": hardware("its clock, as `date` shows it, is 90 seconds ahead", clock_offset_seconds=90),
    "filevault-on": setting("FileVault is on", _read_file_vault, _write_file_vault, bad=True),
    "firewall-on": setting("the application firewall is on", _read_firewall, _write_firewall, bad=True),
    "german": hardware("macOS speaks German: the Thunderbolt Bridge has another name", language="de"),
    "password-changed": setting("admin has another password", _read_passwords, _write_passwords, bad=OTHERS),
    "protection-domains-spent": _of_this_boot(
        "dead ranks hold all RDMA protection domains, until it restarts",
        KERNEL_OBJECTS,
        {PROTECTION_DOMAINS: DOMAINS_OF_A_DEVICE},
    ),
    "rdma-wedged": _of_this_boot("ibv_devinfo never ends, until it restarts", WEDGED, value=True),
    "restart-freeze-off": setting(
        "it does not restart after a freeze",
        lambda lab, name: _last_word(lab, name, SYSTEMSETUP, "-getrestartfreeze"),
        lambda lab, name, value: _silently(lab, name, SYSTEMSETUP, "-setrestartfreeze", value),
        bad="off",
    ),
    "sleep-on": _power("it sleeps after a minute", "sleep", "1"),
    "update-undone": hardware("a newer macOS is undone at its restart", update_ends="as before"),
    "update-without-rdma": hardware("after a newer macOS RDMA is off", update_ends="without rdma"),
    "updates-on": setting("macOS updates itself", _read_updates, _write_updates, bad=["on", "1", True]),
    "wired-limit-lost": setting(
        "the limit of wired memory is back at macOS's own",
        lambda lab, name: _last_word(lab, name, SYSCTL, "-n", WIRED_LIMIT),
        lambda lab, name, value: _silently(lab, name, SYSCTL, f"{WIRED_LIMIT}={value}"),
        bad="0",
    ),
}
