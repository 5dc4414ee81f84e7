"""What one machine is to hold: its releases, each named by the hash of what is in it. Pure.

A release is links to directories that never change, and configuration as text. The same inputs give the same name on
every machine and every day, so "is it laid?" is one look at a path, and "did it change?" one comparison of names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from serving.cabling import port_towards
from serving.cluster import Cluster, Declared, Replica
from serving.configuration import (
    AgentConfiguration,
    Cabled,
    LinksConfiguration,
    Manifest,
    Member,
    ReplicaConfiguration,
)
from serving.gateway import GatewayConfiguration, litellm_configuration
from serving.layout import ENVIRONMENTS, KEY, LINKS_REPORT, LOGS, RELEASES, SOFTWARE, STATE, TOKEN, WEIGHTS
from serving.seen import Seen
from serving.transport import cable_addresses, ring_hosts


@dataclass(frozen=True)
class Release:
    """An immutable directory: names of symbolic links with their targets, and of files with their text."""

    kind: str
    links: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def path(self) -> str:
        """Where it lies, named by its content."""
        content = json.dumps([dict(self.links), dict(self.files)], sort_keys=True)
        return f"{RELEASES}/{self.kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def weights_directory(name: str, manifest: Manifest) -> str:
    """Where weights lie: another manifest is another directory, so new weights never disturb the old."""
    return f"{WEIGHTS}/{name}-{manifest.digest[:12]}"


def links_release(cluster: Cluster, seen: Mapping[str, Seen], machine: str, links: Mapping[str, str]) -> Release:
    """The release of `dev.cidermill.links` on one machine."""
    configuration = LinksConfiguration(machine=machine, cables=_cabled(cluster, seen, machine), report=LINKS_REPORT)
    return Release("links", links, {"links.json": _text(configuration)})


def agent_release(
    cluster: Cluster, manifests: Mapping[str, Manifest], machine: str, links: Mapping[str, str]
) -> Release:
    """The release of `dev.cidermill.agent` on one machine."""
    replica = cluster.replica_of(machine)
    configuration = AgentConfiguration(
        cluster=cluster.name,
        machine=machine,
        address=cluster.machine(machine).address,
        port=cluster.ports.agent,
        token_file=TOKEN,
        state_directory=STATE,
        log_directory=LOGS,
        links_report=LINKS_REPORT,
        replica=_replica(cluster, replica, manifests[replica.weights], machine) if replica else None,
    )
    return Release("agent", links, {"agent.json": _text(configuration)})


def gateway_release(cluster: Cluster, proven: Collection[str], links: Mapping[str, str]) -> Release:
    """The release of `dev.cidermill.gateway`: it lists the proven replicas and no others."""
    litellm = json.dumps(litellm_configuration(cluster, proven), indent=2) + "\n"
    configuration = GatewayConfiguration(
        address=cluster.machine(cluster.gateway.machine).address,
        port=cluster.gateway.port,
        key_file=KEY,
        token_file=TOKEN,
        litellm="litellm.yaml",
    )
    return Release("gateway", links, {"litellm.yaml": litellm, "gateway.json": _text(configuration)})


def contents(environment: str, software: str) -> dict[str, str]:
    """The links of a release: to its locked environment and to our own software, by their directories' names."""
    return {"environment": f"{ENVIRONMENTS}/{environment}", "software": f"{SOFTWARE}/{software}"}


def _cabled(cluster: Cluster, seen: Mapping[str, Seen], machine: str) -> tuple[Cabled, ...]:
    addresses = cable_addresses(cluster)
    found = ((peer, port_towards(cluster, seen, machine, peer)) for peer in cluster.neighbours(machine))
    return tuple(
        Cabled(
            peer=peer,
            domain_uuid=port.domain_uuid,
            address=addresses[machine, peer],
            peer_address=addresses[peer, machine],
        )
        for peer, port in found
        if port is not None
    )


def _replica(cluster: Cluster, replica: Replica, manifest: Manifest, machine: str) -> ReplicaConfiguration:
    weights = cluster.weights_of(replica)
    first = cluster.machine(replica.machines[0])
    return ReplicaConfiguration(
        name=replica.name,
        members=tuple(Member(machine=name, address=cluster.machine(name).address) for name in replica.machines),
        rank=replica.machines.index(machine),
        transport=replica.transport,
        sharding=replica.sharding,
        ring=ring_hosts(cluster, replica) if replica.transport == "ring" else (),
        coordinator=f"{first.address}:{cluster.ports.transport}" if replica.transport not in (None, "ring") else None,
        weights=weights.name,
        weights_directory=weights_directory(weights.name, manifest),
        manifest=manifest,
        golden=weights.golden,
        context_tokens=replica.context_tokens,
        slots=replica.slots,
        restarts=replica.restarts,
        rank_port=cluster.ports.rank,
    )


def _text(configuration: Declared) -> str:
    return configuration.model_dump_json(indent=2) + "\n"
