"""`dscl .`: reads and changes the local directory, with Open Directory's errors.

The exit code is the error number's remainder by 256: 56 for a missing record, 40 without root.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.standin.commands import directory
from tests.standin.commands.directory import Record, Records
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

NODES = (".", "/Local/Default")
RECORD_NOT_FOUND = (-14136, "eDSRecordNotFound")
ATTRIBUTE_NOT_FOUND = (-14134, "eDSAttributeNotFound")
PERMISSION = (-14120, "eDSPermissionError")


def dscl(mac: Mac, call: Call) -> Reply:
    """Dispatch on the verb; the node must be the local one."""
    if len(call.argv) < 4 or call.argv[1] not in NODES:
        return unsupported(call)
    verb, (kind, name) = call.argv[2].lstrip("-"), _path(call.argv[3])
    records = directory.read(mac.memory)
    if kind not in records:
        return unsupported(call)
    if verb == "list" and not name and len(call.argv) < 6:
        return _list(records[kind], call.argv[4:])
    if verb == "read" and name:
        return _read(kind, name, records[kind], call.argv[4:])
    if verb not in CHANGES or not name or len(call.argv[4:]) not in CHANGES[verb][0]:
        return unsupported(call)
    return _change(mac, call, verb, kind, name, records)


COMMANDS: dict[str, Command] = {"/usr/bin/dscl": dscl}


def _path(path: str) -> tuple[str, str]:
    kind, _, name = path.removeprefix("/").partition("/")
    return kind, name


def _error(fault: tuple[int, str], status: str | None = None) -> Reply:
    number, name = fault
    first = f"<main> {status} status: {name}\n" if status else ""
    return failure(f"{first}<dscl_cmd> DS Error: {number} ({name})", -number % 256)


def _list(records: Records, attribute: list[str]) -> Reply:
    if not attribute:
        return lines(*sorted(records))
    width = max(len(name) for name in records) + 4
    shown = {name: record[attribute[0]] for name, record in sorted(records.items()) if attribute[0] in record}
    return lines(*(f"{name:<{width}}{' '.join(values)}" for name, values in shown.items()))


def _read(kind: str, name: str, records: Records, attributes: list[str]) -> Reply:
    if name not in records:
        return _error(RECORD_NOT_FOUND)
    whole: Record = {
        "AppleMetaNodeLocation": ["/Local/Default"],
        "GeneratedUID": [directory.generated_uid(kind, name)],
        **records[name],
        "RecordName": [name],
        "RecordType": [f"dsRecTypeStandard:{kind}"],
    }
    wanted = attributes or sorted(whole)
    found = [_attribute(key, whole[key]) for key in wanted if key in whole]
    missing = "".join(f"No such key: {key}\n" for key in wanted if key not in whole)
    return Reply(stdout="".join(found), stderr=missing)


def _attribute(key: str, values: list[str]) -> str:
    """Values on the key's line, unless one contains a space: then each on a line of its own."""
    if any(" " in value for value in values):
        return f"{key}:\n" + "".join(f" {value}\n" for value in values)
    return f"{key}: {' '.join(values)}\n"


def _change(mac: Mac, call: Call, verb: str, kind: str, name: str, records: dict[str, Records]) -> Reply:
    if not call.is_root:
        return _error(PERMISSION, "delete" if verb == "delete" else "attribute")
    if name not in records[kind] and verb != "create":
        return _error(RECORD_NOT_FOUND, "delete" if verb == "delete" else "attribute")
    fault = CHANGES[verb][1](records[kind], name, call.argv[4:])
    if fault:
        return _error(fault, "attribute")
    directory.write(mac.memory, records)
    return Reply()


def _create(records: Records, name: str, rest: list[str]) -> None:
    record = records.setdefault(name, {})
    if rest:
        record[rest[0]] = rest[1:]


def _append(records: Records, name: str, rest: list[str]) -> None:
    """Adds values even where they are already: only -merge looks."""
    records[name][rest[0]] = records[name].get(rest[0], []) + rest[1:]


def _merge(records: Records, name: str, rest: list[str]) -> None:
    held = records[name].get(rest[0], [])
    records[name][rest[0]] = held + [value for value in rest[1:] if value not in held]


def _delete(records: Records, name: str, rest: list[str]) -> tuple[int, str] | None:
    if not rest:
        del records[name]
        return None
    if rest[0] not in records[name]:
        return ATTRIBUTE_NOT_FOUND
    kept = [value for value in records[name][rest[0]] if value not in rest[1:]]
    if rest[1:] and kept:
        records[name][rest[0]] = kept
    else:
        del records[name][rest[0]]
    return None


def _replace(records: Records, name: str, rest: list[str]) -> tuple[int, str] | None:
    key, old, new = rest
    if old not in records[name].get(key, []):
        return ATTRIBUTE_NOT_FOUND
    records[name][key] = [new if value == old else value for value in records[name][key]]
    return None


MANY = 1 << 16
CHANGES: dict[str, tuple[range, Callable[[Records, str, list[str]], tuple[int, str] | None]]] = {
    "append": (range(2, MANY), _append),
    "change": (range(3, 4), _replace),
    "create": (range(MANY), _create),
    "delete": (range(MANY), _delete),
    "merge": (range(2, MANY), _merge),
}
"""Verb -> how many words may follow the path, and what it does."""
