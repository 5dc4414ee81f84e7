"""Releases: directories of links and configuration that are laid once and never changed, and their removal."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Collection, Mapping

from pyinfra.api.exceptions import OperationError, OperationValueError
from pyinfra.context import host

from operations.facts.environment import Releases
from operations.laying import composed
from operations.remote import Commands, differs, operation, read

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@operation
def release(path: str, *, links: Mapping[str, str], files: Mapping[str, str]) -> Commands:
    """A directory of symbolic `links` (name: target) and text `files` (name: text, whole lines), laid atomically.

    releases.release(
        name="Lay the agent's release",
        path="/opt/example/releases/agent-1a2b",
        links={"environment": "/opt/example/environments/node-3c4d"},
        files={"agent.json": "{}\\n"},
    )
    """
    for inside in (*links, *files):
        if not _PLAIN_NAME.fullmatch(inside):
            raise OperationValueError(f"cannot lay {path}: {inside!r} is not a plain file name.")
    digests = {inside: hashlib.sha256(text.encode()).hexdigest() for inside, text in files.items()}
    receipt = {"links": dict(links), "files": digests}
    root, _, last = path.rpartition("/")
    laid = read(host, Releases, root=root).get(last)
    if laid == receipt:
        host.noop(f"{last} is laid")
        return
    if laid is not None:
        raise OperationError(
            f"cannot lay {path} on {host.name}: it is there with other content, and a release never changes. "
            "Give the release a name made from its content."
        )
    differs(f"release {last}", seen="not laid", needed="laid")
    yield from composed(path, receipt=receipt, links=links, files=files)


@operation
def collected(root: str, *, keep: Collection[str]) -> Commands:
    """Nothing under `root` but the directories named in `keep`.

    releases.collected(name="Remove old releases", root="/opt/example/releases", keep={"agent-1a2b"})
    """
    laid = read(host, Releases, root=root)
    old = sorted(laid.keys() - set(keep))
    if not old:
        host.noop(f"nothing in {root} is out of use")
        return
    strange = [name for name in old if not _PLAIN_NAME.fullmatch(name)]
    if strange:
        raise OperationError(f"cannot clear {root} on {host.name}: {strange} were not laid by us. Remove them by hand.")
    for name in old:
        differs(f"{root}/{name}", seen="there", needed="nothing that is out of use")
    yield shlex.join(("rm", "-rf", *(f"{root}/{name}" for name in old)))
