"""What a deploy has to read of a machine before it changes anything, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving import daemons, layout
from serving.cluster import Cluster
from serving.configuration import Manifest
from serving.plan import weights_directory


def at(cluster: Cluster, manifests: Mapping[str, Manifest], machine: str) -> dict[str, Any]:
    """Everything that is looked at on one machine."""
    replica = cluster.replica_of(machine)
    laid = [layout.ENVIRONMENTS, layout.SOFTWARE, layout.RELEASES]
    return {
        "interpreter": cluster.system_python,
        "anchor": layout.FILTER_ANCHOR,
        "account": {"account": cluster.account.name, "uid": cluster.account.uid},
        "directories": [path for path, *_ in layout.directories(cluster.account.name)],
        "laid": [*laid, layout.PYTHON] if cluster.python.kind == "managed" else laid,
        "secrets": _secrets(cluster, machine),
        "weights": [weights_directory(replica.weights, manifests[replica.weights])] if replica else [],
        "daemons": daemons.PREFIX,
        "texts": [[layout.CONFIRMED, layout.LINKS_REPORT], [layout.SETTINGS_BEFORE]],
    }


def settings(cluster: Cluster) -> dict[str, Any]:
    """The settings of macOS that are owned; those that are not managed are None or missing."""
    return cluster.headless.model_dump() if cluster.headless else {}


def sizes(manifests: Mapping[str, Manifest]) -> dict[str, int]:
    """Bytes of each of the weights, by name."""
    return {name: sum(file.size for file in manifest.files.values()) for name, manifest in manifests.items()}


def _secrets(cluster: Cluster, machine: str) -> list[str]:
    if machine != cluster.gateway.machine:
        return [layout.TOKEN]
    pair = [] if cluster.gateway.tls is None else [layout.CERTIFICATE, layout.CERTIFICATE_KEY]
    return [layout.TOKEN, layout.KEY, layout.KEYS, layout.EXTERNAL_KEYS, *pair]
