"""What a Mac had before Cidermill first changed it: one JSON file on the Mac, root's own, the value of each key.

A key is written down before its first change and never again, so that a later deploy does not take our own value for
the Mac's. The whole text is made on the control machine from what was read, goes by standard input, and is moved into
place whole: a run that is cut off leaves the old record or the new one, and the new one is true even when nothing of
what it speaks of was changed. None is the value of a key that was never written.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, cast

from pyinfra.api.exceptions import OperationError
from pyinfra.api.host import Host

from operations.facts.texts import Texts
from operations.remote import read

Value = bool | int | None
Values = dict[str, Value]

# A directory that is there keeps its mode; one that is made is root's own, whatever root's umask is.
_KEEP = """
unkept() { echo "cannot keep $record, so nothing was changed. The reason is above." >&2; exit 1; }
directory=${record%/*}
umask 022
[ -d "$directory" ] || install -d -o root -g wheel -m 700 "$directory" || unkept
umask 077
rm -f "$record.new"
cat > "$record.new" && sync && mv -f "$record.new" "$record" || unkept
"""


def recorded(host: Host, path: str) -> Values | None:
    """What the record at a path says, None when there is none.

    Raises OperationError for one that is damaged: taking it for none would put our own values on record.
    """
    text = read(host, Texts, paths=[path])[path]
    if text is None:
        return None
    values = _values(text)
    if values is None:
        raise OperationError(
            f"cannot tell what {host.name} had before: {path} says {text[:200]!r}, needed an object of numbers, true, "
            "false and null. Put it right by hand; without it, what is there now would be taken for what was."
        )
    return values


def kept(path: str, *, known: Mapping[str, Value], seen: Mapping[str, Value]) -> tuple[str, str] | None:
    """The shell lines that put on record what has not been, and the text for their standard input.

    None when all of it is on record. The lines end the shell when they fail.
    """
    if seen.keys() <= known.keys():
        return None
    text = json.dumps({**seen, **known}, indent=2, sort_keys=True)
    return f"record={shlex.quote(path)}{_KEEP}", f"{text}\n"


def _values(text: str) -> Values | None:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    values = cast("dict[str, Any]", found)
    return values if all(value is None or isinstance(value, int) for value in values.values()) else None
