"""What macOS knows only until the next reboot.

Kept in the Mac's `Memory` under one subject, marked with the boot session that wrote it: a later boot reads its own
defaults, as if nothing had ever been set.
"""

from __future__ import annotations

from typing import Any

from tests.standin.mac import Mac

SUBJECT = "this-boot"


def recall(mac: Mac, key: str, default: Any) -> Any:
    """A value set since this boot, or the default."""
    return _values(mac).get(key, default)


def keep(mac: Mac, key: str, value: Any) -> None:
    """Set a value until the next reboot."""
    values = {**_values(mac), key: value}
    mac.memory.write(SUBJECT, {"session": mac.boot.session_uuid, "values": values})


def _values(mac: Mac) -> dict[str, Any]:
    kept = mac.memory.read(SUBJECT, {"session": None, "values": {}})
    return kept["values"] if kept["session"] == mac.boot.session_uuid else {}
