"""The verdict on a lab: from what was declared and what was read, everything that is not as it should be. Pure.

A subject that could not be read is a finding like any other. Where one fault is the cause of another (RDMA off here
makes the neighbour's port go down), only the cause is told, once, on the machine where it can be mended.

    error   a deploy must not go on: only a person can mend it
    drift   the next deploy or the links daemon puts it right
    note    worth knowing; fails nothing
"""

from __future__ import annotations

from collections.abc import Mapping

from serving.cluster import Cluster
from serving.placement.declared import Placed
from serving.seen import Problem, Seen
from serving.verdict.cables import cables
from serving.verdict.fabric import fabric
from serving.verdict.finding import ByHand, Finding, Severity
from serving.verdict.identity import identity
from serving.verdict.macos import macos
from serving.verdict.placement import placement
from serving.verdict.rdma import rdma
from serving.verdict.resources import resources
from serving.verdict.settings import settings
from serving.verdict.strangers import strangers
from serving.verdict.unreadable import unreadable
from serving.verdict.view import View

__all__ = ["ByHand", "Finding", "Severity", "findings"]

_CHECKS = (unreadable, identity, macos, cables, strangers, rdma, fabric, settings, resources, placement)


def findings(
    cluster: Cluster,
    seen: Mapping[str, Seen],
    weights_bytes: Mapping[str, int] | None = None,
    placed: Mapping[str, Placed | Problem] | None = None,
) -> list[Finding]:
    """Everything that is not as it should be, machine by machine in the order of the declaration; none means all well.

    `weights_bytes` is the size of each weights directory by name; without it disks are not judged by it.
    `placed` is what was decided of each replica; without it memory and splits are not judged.
    """
    view = View(cluster, seen, weights_bytes or {}, placed or {})
    unseen = [name for name in view.machines if name not in seen]
    if unseen:
        remedy = "Reach it, without --limit."
        return [
            Finding(name, "connection", "it was not looked at", "a look at every machine", remedy) for name in unseen
        ]
    found = [finding for check in _CHECKS for finding in check(view)]
    return sorted(found, key=lambda finding: view.machines.index(finding.machine))
