"""Which boot of this machine this is: what was written down before the last one is no longer true."""

from __future__ import annotations

from pathlib import Path
from subprocess import TimeoutExpired, run

from serving.errors import CidermillError

_SYSCTL = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")
_LINUX = Path("/proc/sys/kernel/random/boot_id")


def boot_session() -> str:
    """An identifier that changes at every boot (macOS: kern.bootsessionuuid)."""
    try:
        asked = run(_SYSCTL, capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, TimeoutExpired):
        asked = None
    if asked is not None and asked.returncode == 0 and asked.stdout.strip():
        return asked.stdout.strip()
    if _LINUX.exists():
        return _LINUX.read_text().strip()
    raise CidermillError(
        f"cannot tell one boot of this machine from another: {' '.join(_SYSCTL)} gave no answer. "
        "This release was checked with macOS 26.3."
    )
