"""Which Python the daemons of a machine run on: one that is there, or one that we lay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operations.fleet import refuse
from operations.packaging import Package, managed_python
from operations.platforms import Target, UnknownPlatform, managed_target, target_for


@dataclass(frozen=True)
class Python:
    """An interpreter's path on the machine, what packages for it must be, and what to lay there first, if anything."""

    path: str
    target: Target
    package: Package | None


def python_for(machine: str, facts: Mapping[str, Any], *, declared: Mapping[str, str], root: str) -> Python:
    """The Python declared for a machine, by `facts` as `fleet.look` read them; one of ours lies under `root`.

    Refuses the run when there are no packages for it.
    """
    macos = facts["mac"]["macos"]
    if declared["kind"] == "managed":
        package = managed_python(declared["version"])
        return Python(f"{root}/{package.name}/bin/python3", managed_target(declared["version"], macos), package)
    try:
        return Python(declared["path"], target_for(facts["interpreter"], macos), None)
    except UnknownPlatform as unknown:
        refuse([(machine, f"{machine}: {unknown}")])
        raise
