"""Faults of what lies on the disk and of the jobs launchd has: edited, moved, opened, unloaded, left over, full."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.standin.fault import Fault, change, missing, remembering, restore, run, setting
from tests.standin.unavailable import LabUnavailable

if TYPE_CHECKING:
    from tests.standin.lab import Lab

LAUNCHCTL, DSCL = "/bin/launchctl", "/usr/bin/dscl"
DAEMONS = "/Library/LaunchDaemons"
AGENT, STRAY = "dev.cidermill.agent", "dev.cidermill.old"
ACCOUNT = "_cidermill"
SECRETS, WEIGHTS = "/opt/cidermill/secrets", "/opt/cidermill/weights"
NOT_LOADED, BUSY = 113, 5
UNLOADING_SECONDS = 60.0
LEFT_BYTES = 64 << 20


def _on(lab: Lab, name: str, path: str) -> Path:
    return lab.root(name) / path.lstrip("/")


def _plist(label: str) -> str:
    return f"{DAEMONS}/{label}.plist"


def _bootout(lab: Lab, name: str, label: str) -> None:
    run(lab, name, LAUNCHCTL, "bootout", f"system/{label}")
    end = time.monotonic() + UNLOADING_SECONDS
    while lab.call(name, LAUNCHCTL, "print", f"system/{label}").code != NOT_LOADED:
        if time.monotonic() > end:
            raise LabUnavailable(f"cannot unload {label} on {name}: still there after {UNLOADING_SECONDS:.0f} seconds.")
        time.sleep(0.05)


def _unload_agent(lab: Lab, name: str) -> str | None:
    if not _on(lab, name, _plist(AGENT)).exists():
        raise missing(name, f"{AGENT}.plist")
    if lab.call(name, LAUNCHCTL, "print", f"system/{AGENT}").code == NOT_LOADED:
        return None
    _bootout(lab, name, AGENT)
    return AGENT


def _load(lab: Lab, name: str, label: str) -> None:
    if lab.call(name, LAUNCHCTL, "print", f"system/{label}").code == NOT_LOADED:
        run(lab, name, LAUNCHCTL, "bootstrap", "system", _plist(label))


def _edit_plist(lab: Lab, name: str) -> str:
    file = _on(lab, name, _plist(AGENT))
    if not file.exists():
        raise missing(name, f"{AGENT}.plist")
    before = file.read_text()
    file.write_bytes(plistlib.dumps({**plistlib.loads(before.encode()), "Nice": 5}))
    return before


def _leave_stray(lab: Lab, name: str) -> str | None:
    file = _on(lab, name, _plist(STRAY))
    if file.exists():
        return None
    job = {"Label": STRAY, "ProgramArguments": ["/bin/sleep", "100000"], "RunAtLoad": True}
    file.write_bytes(plistlib.dumps(job))
    file.chmod(0o644)
    _load(lab, name, STRAY)
    return STRAY


def _remove_stray(lab: Lab, name: str, label: str) -> None:
    if lab.call(name, LAUNCHCTL, "print", f"system/{label}").code != NOT_LOADED:
        _bootout(lab, name, label)
    _on(lab, name, _plist(label)).unlink(missing_ok=True)


def _read_shell(lab: Lab, name: str) -> str:
    if lab.call(name, DSCL, ".", "-read", f"/Users/{ACCOUNT}").code:
        raise missing(name, f"account {ACCOUNT}")
    return run(lab, name, DSCL, ".", "-read", f"/Users/{ACCOUNT}", "UserShell").split()[-1]


def _write_shell(lab: Lab, name: str, shell: str) -> None:
    run(lab, name, DSCL, ".", "-create", f"/Users/{ACCOUNT}", "UserShell", shell)


def _open_secret(lab: Lab, name: str) -> list[object] | None:
    secret = _first_file(lab, name, SECRETS, "*")
    mode = stat.S_IMODE(secret.stat().st_mode)
    secret.chmod(0o644)
    return [secret.name, mode] if mode != 0o644 else None


def _close_secret(lab: Lab, name: str, before: list[object]) -> None:
    file, mode = before
    (_on(lab, name, SECRETS) / str(file)).chmod(int(str(mode)))


def _move_weights(lab: Lab, name: str) -> str:
    file = _first_file(lab, name, WEIGHTS, "*/*.safetensors")
    file.rename(file.with_name(f"{file.name}.away"))
    return str(file.relative_to(_on(lab, name, WEIGHTS)))


def _bring_weights_back(lab: Lab, name: str, file: str) -> None:
    there = _on(lab, name, WEIGHTS) / file
    there.with_name(f"{there.name}.away").rename(there)


def _first_file(lab: Lab, name: str, directory: str, pattern: str) -> Path:
    found = sorted(path for path in _on(lab, name, directory).glob(pattern) if path.is_file())
    if not found:
        raise missing(name, f"file in {directory}")
    return found[0]


def _change_weights(lab: Lab, name: str) -> str:
    file = _first_file(lab, name, WEIGHTS, "*/*.safetensors")
    _flip_last_byte(file)
    return str(file.relative_to(_on(lab, name, WEIGHTS)))


def _change_weights_back(lab: Lab, name: str, file: str) -> None:
    _flip_last_byte(_on(lab, name, WEIGHTS) / file)


def _flip_last_byte(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(-1, os.SEEK_END)
        (last,) = content.read(1)
        content.seek(-1, os.SEEK_END)
        content.write(bytes([last ^ 1]))


def _run_another_release(lab: Lab, name: str) -> list[str] | None:
    """Have the agent run a release whose replica holds half the context, as one that was never rolled forward."""
    plist = _on(lab, name, _plist(AGENT))
    if not plist.exists():
        raise missing(name, f"{AGENT}.plist")
    before = plist.read_bytes()
    release = Path(plistlib.loads(before)["ProgramArguments"][-1]).parent
    other = f"{release}-other"
    shutil.copytree(_on(lab, name, str(release)), _on(lab, name, other), symlinks=True)
    file = _on(lab, name, other) / "agent.json"
    told = json.loads(file.read_text())
    told["replica"]["context_tokens"] //= 2
    file.write_text(json.dumps(told))
    _bootout(lab, name, AGENT)
    plist.write_bytes(before.replace(f"{release}/".encode(), f"{other}/".encode()))
    _load(lab, name, AGENT)
    return [before.decode(), other]


def _run_the_release(lab: Lab, name: str, before: list[str]) -> None:
    plist, other = before
    _bootout(lab, name, AGENT)
    _on(lab, name, _plist(AGENT)).write_text(plist)
    _load(lab, name, AGENT)
    shutil.rmtree(_on(lab, name, other))


def _fill_disk(lab: Lab, name: str, left: int = LEFT_BYTES) -> None:
    """Shrink the disk to what is on it: nothing has to be written for that."""
    used = shutil.disk_usage(_on(lab, name, "/private")).used
    change(lab, name, {"disk_free_bytes": used + left})
    _resize_disk(lab, name, str(used + left))


def _empty_disk(lab: Lab, name: str) -> None:
    from tests.standin.disk import DISK_SIZE  # for Linux only, and an inventory imports this module

    restore(lab, name, {"disk_free_bytes": None})
    _resize_disk(lab, name, DISK_SIZE)


def _resize_disk(lab: Lab, name: str, size: str) -> None:
    mount = ["mount", "-o", f"remount,size={size}", "disk", str(lab.files.stage)]
    subprocess.run(["nsenter", "-t", str(lab.hardware(name)), "-m", *mount], check=True, env={"PATH": os.defpath})


FAULTS: dict[str, Fault] = {
    "account-shell": setting(f"somebody gave {ACCOUNT} a login shell", _read_shell, _write_shell, bad="/bin/zsh"),
    "agent-unloaded": remembering("somebody took the agent out of launchd", _unload_agent, _load),
    "disk-full": Fault("64 MB are left on the disk", _fill_disk, _empty_disk),
    "disk-spent": Fault("not a byte is left on the disk", lambda lab, name: _fill_disk(lab, name, 0), _empty_disk),
    "plist-edited": remembering(
        "somebody edited the agent's plist",
        _edit_plist,
        lambda lab, name, before: _on(lab, name, _plist(AGENT)).write_text(before) and None,
    ),
    "release-other": remembering(
        "the agent runs another release, which tells it another context", _run_another_release, _run_the_release
    ),
    "secret-open": remembering("a secret can be read by everybody", _open_secret, _close_secret),
    "stray-daemon": remembering(f"a daemon nobody declared, {STRAY}, is loaded", _leave_stray, _remove_stray),
    "weights-changed": remembering("one bit of the weights is wrong", _change_weights, _change_weights_back),
    "weights-missing": remembering("a file of weights is not where it was", _move_weights, _bring_weights_back),
}
