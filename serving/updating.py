"""What the deploy does about another macOS, machine by machine; nothing where none is declared. Pure.

Each of these lists has one item where an update is declared, on all machines alike, and none otherwise: so all of them
take part in the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from serving.cluster import Cluster
from serving.declared import Machine, MacOSUpdate
from serving.hidden import VOLUME_OWNER
from serving.layout import MACOS
from serving.seen import Seen
from serving.verdict.mended import unmended
from serving.verdict.updates import due

K = TypeVar("K")


def fetch(cluster: Cluster, seen: Mapping[str, Seen], machine: str) -> list[dict[str, Any]]:
    """How the declared macOS is fetched while everything serves; `label` is None for a machine that is not due."""
    wanted = cluster.macos.update if cluster.macos else None
    if wanted is None:
        return []
    return [
        {**_macos(cluster.machine(machine), wanted, seen[machine]), "within_seconds": wanted.install_within_seconds}
    ]


def update(cluster: Cluster, seen: Mapping[str, Seen], machine: str, keys: Mapping[str, K]) -> list[dict[str, Any]]:
    """How a machine gets the declared macOS; `keys` are secrets by name, its volume owner's password among them."""
    wanted, replica = cluster.macos.update if cluster.macos else None, cluster.replica_of(machine)
    if wanted is None:
        return []
    return [
        {
            **_macos(cluster.machine(machine), wanted, seen[machine]),
            "user": wanted.volume_owner.user if wanted.volume_owner else None,
            "password": keys.get(VOLUME_OWNER),
            "install_within_seconds": wanted.install_within_seconds,
            "restart_within_seconds": wanted.restart_within_seconds,
            "mended_within_seconds": wanted.mended_within_seconds,
            "unmended": partial(unmended, cluster, seen, machine),
            "replica": replica.name if replica else None,
        }
    ]


def machines_due(cluster: Cluster, seen: Mapping[str, Seen]) -> frozenset[str]:
    """The machines that are due for the declared macOS."""
    wanted = cluster.macos.update if cluster.macos else None
    return frozenset(each.name for each in cluster.machines if due(each, wanted, seen[each.name]) is not None)


def is_spare(cluster: Cluster, machine: str) -> bool:
    """Whether a machine belongs to no replica, so that its restart takes nothing from any."""
    return cluster.replica_of(machine) is None


def _macos(machine: Machine, wanted: MacOSUpdate, seen: Seen) -> dict[str, Any]:
    found = due(machine, wanted, seen)
    return {
        "build": wanted.build,
        "version": wanted.version,
        "label": found.label if found else None,
        "directory": MACOS,
    }
