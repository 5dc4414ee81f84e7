"""What a machine was last proven with: written down on it when its replica is, and never before.

Three files: the record itself, the plist of the daemon that was proven, and a history with a line for each change. The
record is written last, so that what it tells of is there. After a run that was cut off anywhere it tells what there was
before, which is what there is to go back to.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from pyinfra.api.command import StringCommand
from pyinfra.context import host

from operations import launchd
from operations.attempts import guarded
from operations.facts.texts import Texts
from operations.inventory import machine_name
from operations.ledger import ledger
from operations.remote import Commands, current_state, differs, operation, read
from operations.rollout import after

_SECONDS = 60


@dataclass(frozen=True)
class Files:
    """Where a machine's record, its history and the plist to go back to lie, and whose plist that is."""

    record: str
    history: str
    plist: str
    label: str


@operation
def recorded(replica: str, *, records: Mapping[str, Mapping[str, Any] | None], files: Files) -> Commands:
    """Machines whose record says what they were proven with; None is for one that serves nothing any more.

    Each is a JSON object; when it was proven, how long that took and how fast it is are added.

    proof.recorded(
        "a",
        name="Replica a: write down what is proven",
        records={"studio-1": {"replica": "a", "release": "agent-1a2b"}, "studio-2": None},
        files=Files(record="/opt/example/serves.json", ...),
    )
    """
    name = machine_name(host)
    if name not in records:
        host.noop(f"not part of replica {replica}")
    elif current_state().is_executing and ledger().failed:
        host.noop(f"nothing is proven here: {after()}")
    else:
        yield from guarded(replica, _written(replica, records[name], files), within_seconds=_SECONDS)


def appended(history: str, **line: Any) -> StringCommand:
    """The command that adds a line to a history."""
    text = json.dumps({"at": now(), **line}, sort_keys=True)
    return StringCommand(f"set -e; umask 022; cat >> {shlex.quote(history)}; sync", _stdin=f"{text}\n")


def now() -> str:
    """The time of day (UTC), to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _written(replica: str, wanted: Mapping[str, Any] | None, files: Files) -> Commands:
    text = read(host, Texts, paths=[files.record])[files.record]
    seen = _parsed(text)
    if wanted is None:
        yield from _forgotten(replica, seen, files)
        return
    if seen is not None and {key: seen.get(key) for key in wanted} == dict(wanted):
        host.noop(f"{files.record} says so already")
        return
    differs("record of what is served", seen=_told(seen), needed=_told(wanted))
    known = {"since": now(), "seconds": ledger().took.get(replica), "speed": ledger().measured.get(replica)}
    yield appended(files.history, outcome="proven", **wanted)
    yield _copied(launchd.path_of(files.label), files.plist)
    text = json.dumps({**wanted, **known}, sort_keys=True, indent=1)
    new, final = shlex.quote(f"{files.record}.new"), shlex.quote(files.record)
    yield StringCommand(f"set -e; umask 022; cat > {new}; sync; mv -f {new} {final}", _stdin=f"{text}\n")


def _forgotten(replica: str, seen: Mapping[str, Any] | None, files: Files) -> Commands:
    if seen is None:
        host.noop("it serves nothing")
        return
    differs("record of what is served", seen=_told(seen), needed="none")
    line = {key: seen[key] for key in ("release", "weights", "weights_directory", "environments") if key in seen}
    yield appended(files.history, outcome="let go", replica=seen.get("replica", replica), **line)
    yield shlex.join(("rm", "-f", files.record, files.plist))


def _copied(source: str, target: str) -> str:
    new = shlex.quote(f"{target}.new")
    return f"set -e; umask 022; cp {shlex.quote(source)} {new}; mv -f {new} {shlex.quote(target)}"


def _parsed(text: str | None) -> Mapping[str, Any] | None:
    try:
        seen = json.loads(text or "null")
    except ValueError:
        return {}  # damaged: then it is none of what is wanted, and is written anew
    return cast("Mapping[str, Any]", seen) if isinstance(seen, dict) else None


def _told(record: Mapping[str, Any] | None) -> str:
    return f"replica {record.get('replica')} with {record.get('release')}" if record else "none"
