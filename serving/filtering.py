"""The rules of our packet-filter anchor: who may open connections to our own ports. Pure; pf.conf(5) of macOS 26.

They speak of incoming TCP to our own ports and of nothing else, so whatever a machine does besides (SSH, the gateway)
is left as it is. They keep no state: connections of a running replica are older than the rules whenever the filter
is switched on or loaded anew, and a rule that keeps state lets only first packets pass (`flags S/SA`), which would
cut them. RDMA does not pass the filter at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.cluster import Cluster
from serving.transport import cable_addresses

_TABLE = "<cidermill>"


def rules(cluster: Cluster, machine: str) -> str | None:
    """What the anchor of one machine holds, as pfctl reads it; None when the packet filter is not managed."""
    if cluster.packet_filter is None:
        return None
    reachable, own = _reachable(cluster, machine), f"{cluster.ports.rank}"
    return "".join(
        f"{line}\n"
        for line in (
            f"table {_TABLE} const {_braced(_sources(cluster))}",
            f"pass in quick on lo0 proto tcp from any to any port {_braced([*reachable, own])} flags any no state",
            f"pass in quick proto tcp from {_TABLE} to any port {_braced(reachable)} flags any no state",
            f"block return in quick proto tcp from any to any port {_braced([*reachable, own])}",
        )
    )


def _sources(cluster: Cluster) -> list[str]:
    """Every machine by each of its addresses, and what is declared besides."""
    declared = cluster.packet_filter.also_from if cluster.packet_filter is not None else ()
    machines = [machine.address for machine in cluster.machines]
    return list(dict.fromkeys([*machines, *cable_addresses(cluster).values(), *declared]))


def _reachable(cluster: Cluster, machine: str) -> list[str]:
    """The ports that other machines use: the agent's, the one weights are handed on at, and those its replica's ranks
    bind (ring one each, JACCL one)."""
    ports, replica = cluster.ports, cluster.replica_of(machine)
    always = [f"{ports.agent}", f"{ports.supply}"]
    if replica is None or replica.transport is None:
        return always
    count = len(replica.machines) if replica.transport == "ring" else 1
    last = ports.transport + count - 1
    return [*always, f"{ports.transport}:{last}" if count > 1 else f"{ports.transport}"]


def _braced(items: Sequence[str]) -> str:
    return f"{{ {', '.join(items)} }}"
