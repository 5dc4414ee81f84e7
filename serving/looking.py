"""What a deploy has to read of a machine before it changes anything, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving import daemons, layout
from serving.cluster import Cluster
from serving.record import Record, parsed


def at(cluster: Cluster, weights: Sequence[str], machine: str) -> dict[str, Any]:
    """Everything that is looked at on one machine; `weights` are directories of weights, which any may hold."""
    laid = [layout.ENVIRONMENTS, layout.SOFTWARE, layout.RELEASES]
    return {
        "interpreter": cluster.system_python,
        "anchor": layout.FILTER_ANCHOR,
        "account": {"account": cluster.account.name, "uid": cluster.account.uid},
        "directories": [path for path, *_ in layout.directories(cluster.account.name)],
        "laid": [*laid, layout.PYTHON] if cluster.python.kind == "managed" else laid,
        "aged": [layout.RELEASES, layout.WEIGHTS],
        "secrets": _secrets(cluster, machine),
        "weights": weights,
        "daemons": daemons.PREFIX,
        "updates": updates(cluster),
        "texts": [[layout.CONFIRMED, layout.LINKS_REPORT], [layout.SETTINGS_BEFORE], [layout.SERVES], [layout.HISTORY]],
    }


def records(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Record | None]:
    """What each machine was last proven with, from what was looked at. Raises RecordUnreadable."""
    texts = {name: seen[f"texts {layout.SERVES}"] for name, seen in facts.items()}
    return {name: parsed(name, text.get(layout.SERVES)) for name, text in texts.items()}


def doors(facts: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The machines on which a gateway is loaded, from what was looked at."""
    loaded = {name: seen["daemons"] for name, seen in facts.items()}
    return tuple(
        name for name, told in loaded.items() if any(told.get(label, {}).get("loaded") for label in daemons.GATEWAYS)
    )


def settings(cluster: Cluster) -> dict[str, Any]:
    """The settings of macOS that are owned; those that are not managed are None or missing."""
    return cluster.headless.model_dump() if cluster.headless else {}


def updates(cluster: Cluster) -> dict[str, str | None] | None:
    """What is asked for about an update; None where none is declared."""
    update = cluster.macos.update if cluster.macos else None
    if update is None:
        return None
    owner = update.volume_owner.user if update.volume_owner else None
    return {"build": update.build, "user": owner, "directory": layout.MACOS}


def _secrets(cluster: Cluster, machine: str) -> list[str]:
    if machine != cluster.gateway.machine:
        return [layout.TOKEN]
    pair = [] if cluster.gateway.tls is None else [layout.CERTIFICATE, layout.CERTIFICATE_KEY]
    return [layout.TOKEN, layout.KEY, layout.KEYS, layout.EXTERNAL_KEYS, *pair]
