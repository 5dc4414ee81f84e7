"""Whether a Mac that restarted for another macOS is as it was: its cables, its network on them, RDMA. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serving.cluster import Cluster
from serving.seen import Seen
from serving.verdict.cables import cables
from serving.verdict.fabric import fabric
from serving.verdict.rdma import rdma
from serving.verdict.unreadable import unreadable
from serving.verdict.view import View

_CHECKS = (unreadable, cables, rdma, fabric)
_ACTIVE = "PORT_ACTIVE"


def unmended(cluster: Cluster, seen: Mapping[str, Seen], machine: str, read: Mapping[str, Any]) -> list[str]:
    """What is still wrong with a machine, by what was just `read` of it: `mac`, `ports`, `rdma` and `network`.

    Of all others only what was `seen` before counts: the domains of their ports, which stay. Raises pydantic's
    ValidationError for a fact of another shape.
    """
    now = Seen.model_validate({**seen[machine].model_dump(), **read})
    view = View(cluster, {**seen, machine: now}, {})
    findings = [finding for check in _CHECKS for finding in check(view) if finding.machine == machine]
    told = [f"{finding.check}: {finding.seen}" for finding in findings if finding.severity != "note"]
    return list(dict.fromkeys((*told, *_ends(view, machine))))


def _ends(view: View, machine: str) -> Iterator[str]:
    """What is wrong with its own end of each cable; the verdict tells some of it of the other end only."""
    cabled, looked = dict(view.cabled(machine)), view.rdma(machine)
    for peer in view.cluster.neighbours(machine):
        port = cabled.get(peer)
        interface = view.interface(machine, port) if port else None
        if port is None or interface is None or not interface.active:
            yield f"cable to {peer}: no port of {machine} has it, or none that is active"
        elif view.needs_rdma and (looked is None or looked.ports.get(f"rdma_{port.interface}") != _ACTIVE):
            yield f"RDMA towards {peer}: rdma_{port.interface} is not {_ACTIVE}"
