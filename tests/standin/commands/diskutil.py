"""`diskutil apfs listUsers /`: who may unlock and change the volume, by GeneratedUID."""

from __future__ import annotations

from tests.standin.commands import directory
from tests.standin.commands.power import FILEVAULT
from tests.standin.commands.replies import lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

RECOVERY = "EBC6C064-0000-11AA-AA11-00306543ECAC"


def diskutil(mac: Mac, call: Call) -> Reply:
    """Accounts with a secure token; with FileVault on its recovery key as well."""
    if call.argv[1:] not in (["apfs", "listUsers", "/"], ["apfs", "listCryptoUsers", "/"]):
        return unsupported(call)
    users = [name for name in directory.read(mac.memory)["Users"] if directory.holds_token(mac.memory, name)]
    told = [(directory.generated_uid("Users", name), "Local Open Directory User") for name in users]
    if mac.memory.read(FILEVAULT, False):
        told.append((RECOVERY, "Personal Recovery User"))
    rows = [f"Cryptographic users for disk3s1s1 ({len(told)} found)", "|"]
    for place, (uid, kind) in enumerate(told, start=1):
        beside = "|" if place < len(told) else " "
        rows += [f"+-- {uid}", f"{beside}   Type: {kind}", f"{beside}   Volume Owner: Yes", beside.strip()]
    return lines(*rows)


COMMANDS: dict[str, Command] = {"/usr/sbin/diskutil": diskutil}
