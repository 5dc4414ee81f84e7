"""Directories, many at once."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra.api.exceptions import OperationError
from pyinfra.context import host

from operations.facts.files import Tree
from operations.remote import Commands, differs, operation, read


@operation
def directories(wanted: Sequence[tuple[str, str, str, int]]) -> Commands:
    """Directories, each (path, owner, group, mode as its decimal digits), parents before children.

    files.directories(
        name="Make directories",
        wanted=[("/opt/example", "root", "wheel", 755), ("/opt/example/state", "_example", "_example", 700)],
    )
    """
    seen = read(host, Tree, paths=[path for path, *_ in wanted])
    wrong = [
        (path, owner, group, mode)
        for path, owner, group, mode in wanted
        if (entry := seen.get(path)) is None
        or (entry["kind"], entry["owner"], entry["group"], entry["mode"]) != ("directory", owner, group, str(mode))
    ]
    for path, *_ in wrong:
        if path in seen and seen[path]["kind"] != "directory":
            raise OperationError(
                f"cannot make directory {path} on {host.name}: there is a {seen[path]['kind']}. Move it away."
            )
    if not wrong:
        host.noop(f"all {len(wanted)} directories are as declared")
        return
    for path, owner, group, mode in wrong:
        there = seen.get(path)
        told = f"{there['owner']}:{there['group']} {there['mode']}" if there else "missing"
        differs(f"directory {path}", seen=told, needed=f"{owner}:{group} {mode}")
    # Both BSD's and GNU's install make a directory or correct the one that is there.
    yield " && ".join(
        shlex.join(("install", "-d", "-o", owner, "-g", group, "-m", str(mode), path))
        for path, owner, group, mode in wrong
    )
