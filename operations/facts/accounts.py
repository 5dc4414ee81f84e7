"""One service account as the directory has it.

Relies on `dscl . -read`, which prints `Key: value`, puts a value with blanks on a line of its own, prefixes keys it
does not know with `dsAttrTypeNative:`, and ends with 56 when there is no such record. Checked against macOS 26.
"""

from __future__ import annotations

from typing import TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, cannot_tell, number, understood

_DSCL = "/usr/bin/dscl"
_NO_RECORD = 56
USER_KEYS = ("UniqueID", "PrimaryGroupID", "NFSHomeDirectory", "UserShell", "RealName", "IsHidden")
GROUP_KEYS = ("PrimaryGroupID", "RealName")


class Account(TypedDict):
    """The records of one name, None when there is none; `uid_owners` are the names that hold the asked-for uid."""

    user: dict[str, str] | None
    group: dict[str, str] | None
    uid_owners: list[str]
    gid_owners: list[str]


class ServiceAccount(FactBase[Account | None]):
    """The user and group records of a name, and who else holds its number.

    None only when the machine could not be asked at all.
    """

    def command(self, account: str, uid: int) -> str:
        """One command for user, group and the owners of the number."""
        self.uid = uid
        return asking(
            user=bounded(10, _DSCL, ".", "-read", f"/Users/{account}", *USER_KEYS),
            group=bounded(10, _DSCL, ".", "-read", f"/Groups/{account}", *GROUP_KEYS),
            uids=bounded(10, _DSCL, ".", "-list", "/Users", "UniqueID"),
            gids=bounded(10, _DSCL, ".", "-list", "/Groups", "PrimaryGroupID"),
        )

    def process(self, output: list[str]) -> Account:
        """Raises FactProcessError when the directory does not answer."""
        found = answers(output)
        return {
            "user": _record(found["user"], USER_KEYS),
            "group": _record(found["group"], GROUP_KEYS),
            "uid_owners": _owners(found["uids"], self.uid),
            "gid_owners": _owners(found["gids"], self.uid),
        }


def _record(answer: Answer, keys: tuple[str, ...]) -> dict[str, str] | None:
    if answer.code == _NO_RECORD:
        return None
    what = "whether the account exists"
    record: dict[str, str] = {}
    key = ""
    for line in understood(answer, what).lines:
        if line.startswith(" "):
            record[key] = line.strip()
            continue
        key, _, value = line.removeprefix("dsAttrTypeNative:").partition(":")
        record[key] = value.strip()
    # A run cut off right after the record was created leaves one of which dscl says only this.
    if not record.keys() & {*keys, "No such key"}:
        raise cannot_tell(what, f"dscl printed {answer.text!r}")
    return {key: record[key] for key in keys if key in record}


def _owners(answer: Answer, wanted: int) -> list[str]:
    what = "who holds which number"
    rows = [row for line in understood(answer, what).lines if (row := line.rsplit(maxsplit=1))]
    # Every directory has accounts; without one this is no list of them, and a number in use would look free.
    if not any(number(row[-1]) is not None for row in rows):
        raise cannot_tell(what, f"dscl printed {answer.text!r}")
    return sorted(row[0] for row in rows if row[-1] == str(wanted))
