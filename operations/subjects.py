"""What one look at a Mac reads: every subject that is judged, and every one that an operation will ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operations.facts.accounts import ServiceAccount
from operations.facts.environment import Interpreter, LaidAt, Releases
from operations.facts.files import Tree
from operations.facts.launchd import LaunchDaemons
from operations.facts.macos import Mac
from operations.facts.network import Network
from operations.facts.packet_filter import PacketFilter
from operations.facts.resources import Resources
from operations.facts.settings import Settings
from operations.facts.texts import Texts
from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from operations.facts.updates import MacUpdates
from operations.facts.weights import WeightsOnDisk
from operations.rehearsal import Fact


def of(
    *,
    interpreter: str | None,
    anchor: str,
    account: Mapping[str, Any],
    directories: Sequence[str],
    laid: Sequence[str],
    aged: Sequence[str],
    secrets: Sequence[str],
    weights: Sequence[str],
    daemons: str,
    texts: Sequence[Sequence[str]],
    updates: Mapping[str, Any] | None = None,
) -> dict[str, Fact]:
    """The facts by subject, with the very arguments that operations will ask with.

    Path of an interpreter that is to be there, packet filter anchor, account and uid, directories, roots that things
    are laid below, those of them whose age matters, files of secrets, weights directories, prefix of daemons' labels,
    groups of small files, and for an update of macOS the build, the account that installs it, and the directory of its
    logs.
    """
    return {
        "mac": (Mac, {}),
        "ports": (ThunderboltPorts, {}),
        "rdma": (Rdma, {}),
        "network": (Network, {}),
        "settings": (Settings, {}),
        "packet_filter": (PacketFilter, {"anchor": anchor}),
        "resources": (Resources, {}),
        **({"interpreter": (Interpreter, {"path": interpreter})} if interpreter else {}),
        **({"updates": (MacUpdates, updates)} if updates else {}),
        "account": (ServiceAccount, account),
        "directories": (Tree, {"paths": list(directories)}),
        **{f"laid {root}": (Releases, {"root": root}) for root in laid},
        **{f"laid at {root}": (LaidAt, {"root": root}) for root in aged},
        "secrets": (Tree, {"paths": list(secrets)}),
        **{f"weights {directory}": (WeightsOnDisk, {"directory": directory}) for directory in weights},
        "daemons": (LaunchDaemons, {"prefix": daemons}),
        **{f"texts {paths[0]}": (Texts, {"paths": list(paths)}) for paths in texts},
    }
