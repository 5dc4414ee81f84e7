"""`defaults`: a preferences file read whole, or one key of it read, written or deleted.

A domain that is a path is the file at that path plus `.plist`; any other is a file in the caller's own
Library/Preferences. Both are real files on the Mac's disk.
"""

from __future__ import annotations

import plistlib
import re
from pathlib import Path
from typing import Any

from tests.standin.commands import directory
from tests.standin.commands.accounts import stamp
from tests.standin.commands.files import may_read, may_write, replace
from tests.standin.commands.replies import lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def defaults(mac: Mac, call: Call) -> Reply:
    """Dispatch on the verb."""
    if len(call.argv) == 3 and call.argv[1] == "read":
        return _whole(call, call.argv[2], domain_file(mac, call, call.argv[2]))
    if len(call.argv) < 4 or call.argv[1] not in ("read", "write", "delete"):
        return unsupported(call)
    _, verb, domain, key, *rest = call.argv
    path = domain_file(mac, call, domain)
    content: dict[str, Any] = plistlib.loads(path.read_bytes()) if path.exists() and may_read(call, path) else {}
    if verb == "write":
        return _write(call, domain, path, content, key, rest)
    if rest:
        return unsupported(call)
    if key not in content and verb == "delete":
        return _logged(f"\nDomain ({domain}) not found.\nDefaults have not been changed.")
    if key not in content:
        return _logged(f"\nThe domain/default pair of ({domain}, {key}) does not exist")
    if verb == "read":
        return lines(_shown(content[key]))
    del content[key]
    return _save(call, domain, path, content)


COMMANDS: dict[str, Command] = {"/usr/bin/defaults": defaults}


def domain_file(mac: Mac, call: Call, domain: str) -> Path:
    """The file behind a domain, for this caller."""
    if domain.startswith("/"):
        return Path(f"{domain.removesuffix('.plist')}.plist")
    users = directory.read(mac.memory)["Users"].values()
    home = next(user["NFSHomeDirectory"][0] for user in users if user.get("UniqueID") == [str(call.uid)])
    return Path(home) / "Library/Preferences" / f"{domain}.plist"


def _whole(call: Call, domain: str, path: Path) -> Reply:
    """A domain in the old style of property lists: its keys in order, four blanks from the left."""
    if not path.exists() or not may_read(call, path):
        return _logged(f"\nDomain {domain} does not exist")
    content: dict[str, Any] = plistlib.loads(path.read_bytes())
    return lines("{", *(f"    {_word(key)} = {_nested(content[key])};" for key in sorted(content)), "}")


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return "    (\n" + ",\n".join(f"        {_word(item)}" for item in value) + "\n    )"
    return _word(_shown(value))


def _word(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9]+", text) else f'"{text}"'


def _logged(sentence: str) -> Reply:
    return Reply(stderr=f"{stamp('defaults')}{sentence}\n", code=1)


def _write(call: Call, domain: str, path: Path, content: dict[str, Any], key: str, rest: list[str]) -> Reply:
    try:
        content[key] = _value(rest)
    except (KeyError, ValueError, IndexError):
        return unsupported(call)
    return _save(call, domain, path, content)


def _value(words: list[str]) -> Any:
    """The value after its type option; a bare word is a string."""
    if words[0] == "-array":
        return words[1:]
    if len(words) == 1:
        return words[0]
    kind, text = words
    kinds = {"-bool": lambda: BOOLEANS[text.lower()], "-int": lambda: int(text), "-float": lambda: float(text)}
    return {**kinds, "-string": lambda: text}[kind]()


def _save(call: Call, domain: str, path: Path, content: dict[str, Any]) -> Reply:
    if call.is_root or (path.parent.exists() and may_write(call, path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, plistlib.dumps(content, fmt=plistlib.FMT_BINARY), call.uid)
        return Reply()
    return _logged(f"Could not write domain {domain}; exiting")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "(\n" + ",\n".join(f'    "{item}"' for item in value) + "\n)"
    return str(int(value)) if isinstance(value, bool) else str(value)
