"""`plutil`: checks property lists, extracts one value, converts between forms. Paths must be absolute here."""

from __future__ import annotations

import json
import plistlib
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from tests.standin.commands.files import may_read, may_write, replace
from tests.standin.commands.replies import unsupported
from tests.standin.mac import Call, Command, Mac, Reply

STDOUT = "-"
FORMS = ("xml1", "binary1", "json", "raw")


class UnreadableError(Exception):
    """A file that is not there, not for this caller, or no property list."""


def plutil(_: Mac, call: Call) -> Reply:
    """Dispatch on the verb; a bare path is `-lint`."""
    match call.argv[1:]:
        case ["-lint", *paths] if paths and all(path.startswith("/") for path in paths):
            return _lint(call, paths)
        case ["-extract", keys, form, "-o", "-", path] | ["-extract", keys, form, path, "-o", "-"] if form in FORMS:
            return _extract(call, keys, form, path)
        case ["-convert", form, "-o", target, path] | ["-convert", form, path, "-o", target] if form in FORMS[:3]:
            return _convert(call, form, path, target)
        case ["-convert", form, path] if form in FORMS[:3]:
            return _convert(call, form, path, path)
        case [path] if path.startswith("/"):
            return _lint(call, [path])
        case _:
            return unsupported(call)


COMMANDS: dict[str, Command] = {"/usr/bin/plutil": plutil}


def _load(call: Call, path: str) -> Any:
    file = Path(path)
    if not path.startswith("/") or not file.is_file():
        raise UnreadableError("file does not exist or is not readable or is not a regular file")
    if not may_read(call, file):
        raise UnreadableError("file does not exist or is not readable or is not a regular file")
    try:
        return plistlib.loads(file.read_bytes())
    except (plistlib.InvalidFileException, ExpatError, ValueError) as error:
        raise UnreadableError(f"(Property List error: {error} / JSON error: no value.)") from error


def _lint(call: Call, paths: list[str]) -> Reply:
    output, code = "", 0
    for path in paths:
        try:
            _load(call, path)
            output += f"{path}: OK\n"
        except UnreadableError as error:
            output, code = f"{output}{path}: {error}\n", 1
    return Reply(stdout=output, code=code)


def _extract(call: Call, keys: str, form: str, path: str) -> Reply:
    try:
        value: Any = _load(call, path)
        for key in keys.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        return Reply(stdout=_rendered(value, form).decode())
    except UnreadableError as error:
        return Reply(stdout=f"{path}: {error}\n", code=1)
    except (KeyError, IndexError, TypeError, ValueError):
        return Reply(stderr=f"{path}: Could not extract value, error: No value at that key path: {keys}\n", code=1)


def _convert(call: Call, form: str, path: str, target: str) -> Reply:
    try:
        content = _rendered(_load(call, path), form)
    except UnreadableError as error:
        return Reply(stdout=f"{path}: {error}\n", code=1)
    except TypeError:
        return Reply(stdout=f"{path}: invalid object in plist for destination format\n", code=1)
    if target == STDOUT:
        return Reply(stdout=content.decode()) if form != "binary1" else unsupported(call)
    if not target.startswith("/") or not may_write(call, Path(target)):
        return Reply(stdout=f"{target}: could not write\n", code=1)
    replace(Path(target), content, call.uid)
    return Reply()


def _rendered(value: Any, form: str) -> bytes:
    if form == "xml1":
        return plistlib.dumps(value)
    if form == "binary1":
        return plistlib.dumps(value, fmt=plistlib.FMT_BINARY)
    if form == "json":
        return json.dumps(value, separators=(",", ":")).encode()
    return f"{str(value).lower() if isinstance(value, bool) else _counted(value)}\n".encode()


def _counted(value: Any) -> Any:
    """`raw` shows a collection by what it holds: a list by its length, a dictionary by its keys."""
    if isinstance(value, dict):
        return "\n".join(sorted(value))
    return len(value) if isinstance(value, list) else value
