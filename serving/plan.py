"""What machines are to hold: releases, each named by the hash of what is in it. Pure.

A release is links to directories that never change, and configuration as text. The same inputs give the same name on
every machine and every day, so "is it laid?" is one look at a path, and "did it change?" one comparison of names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from serving import daemons, filtering
from serving.cabling import port_towards
from serving.cluster import Cluster
from serving.configuration import (
    AgentConfiguration,
    Cabled,
    LinksConfiguration,
    Manifest,
    Member,
    ReplicaConfiguration,
)
from serving.declared import Declared, External, Replica, Tls
from serving.endpoint.requests import body_limit
from serving.gateway.configuration import (
    ExternalBackend,
    GatewayConfiguration,
    ServedReplica,
    litellm_configuration,
)
from serving.gateway.keys import Key, key_of, written
from serving.gateway.names import covered, served_names
from serving.hidden import (
    CLUSTER_TOKEN,
    GATEWAY_KEY,
    TLS_CERTIFICATE,
    TLS_KEY,
    external_secrets,
    key_secret,
)
from serving.layout import (
    CERTIFICATE,
    CERTIFICATE_KEY,
    CONFIRMED,
    ENVIRONMENTS,
    EXTERNAL_KEYS,
    KEY,
    KEYS,
    LINKS,
    LINKS_REPORT,
    LOGS,
    SOFTWARE,
    STATE,
    TOKEN,
    WEIGHTS,
)
from serving.placement.declared import Placed
from serving.placement.wish import Choice
from serving.release import Release
from serving.seen import Problem, Seen
from serving.transport import cable_addresses, ring_hosts
from serving.weights import called

GATEWAY_SECONDS = 120
"""LiteLLM takes 5 to 30 seconds to begin; a machine that has just restarted has other things to do as well."""

K = TypeVar("K")
Daemon = dict[str, Any]
"""`label` and `plist` of a LaunchDaemon."""


class Named(Protocol):
    """Something laid on machines under a name of its own."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        ...


@dataclass(frozen=True)
class Plan:
    """All releases of a lab, from what was declared and what was read; the names are those of laid directories."""

    cluster: Cluster
    seen: Mapping[str, Seen]
    manifests: Mapping[str, Manifest]
    packages: Mapping[str, Named]
    """`node`, `gateway` and `software`; only what they are called where they lie matters here."""
    placed: Mapping[str, Placed | Problem]
    """What was decided of each replica. Where that is nothing a deploy was refused, and only its rehearsal is here."""
    digests: Mapping[str, str]
    """SHA-256 of each secret, by its name: those of CLUSTER_TOKEN and GATEWAY_KEY, and of all `references`."""
    pending: Collection[str] = ()
    """Weights that cannot be served yet: nobody knows what quantising will make of them."""

    def environments(self, machine: str) -> list[str]:
        """The kinds of environment a machine needs."""
        return ["node", "gateway"] if self.is_door(machine) else ["node"]

    def interpreter(self, kind: str) -> str:
        """The path of an environment's Python."""
        return f"{ENVIRONMENTS}/{self.packages[kind].name}/bin/python"

    def secrets(self, machine: str, keys: Mapping[str, K], wrap: Callable[[str | Mapping[str, K]], K]) -> dict[str, K]:
        """The secrets a machine needs by their path on it; `keys` are all of them by name, wrapped as `wrap` does.

        Of several it makes one: a JSON object.
        """
        mine = {TOKEN: keys[CLUSTER_TOKEN]}
        if not self.is_door(machine):
            return mine
        theirs = {name: keys[secret] for name, secret in external_secrets(self.cluster).items()}
        pair = {} if self._tls is None else {CERTIFICATE: keys[TLS_CERTIFICATE], CERTIFICATE_KEY: keys[TLS_KEY]}
        # Written without any as well: what is no longer declared leaves no key behind.
        return mine | {KEY: keys[GATEWAY_KEY], KEYS: wrap(self._keys()), EXTERNAL_KEYS: wrap(theirs)} | pair

    def weights(self, machine: str) -> list[str]:
        """The directories of weights that a machine needs."""
        replica = self.cluster.replica_of(machine)
        return [] if replica is None else [weights_directory(replica.weights, self.manifests[replica.weights])]

    def program(self, module: str) -> list[str]:
        """The command line of one of our modules on a machine, by what is laid there and not by a release."""
        software = f"{SOFTWARE}/{self.packages['software'].name}"
        variables = ("PYTHONDONTWRITEBYTECODE=1", f"PYTHONPATH={software}")
        return ["/usr/bin/env", *variables, self.interpreter("node"), "-m", module]

    def releases(self, machine: str) -> list[Release]:
        """What can be laid before anything is proven."""
        replica = self.cluster.replica_of(machine)
        waits = replica is not None and replica.weights in self.pending
        return [self.links(machine)] if waits else [self.links(machine), self.agent(machine)]

    def daemons(self, machine: str) -> list[Daemon]:
        """The daemons whose loading disturbs nobody: all but a replica's agent and the gateway."""
        links = _daemon(daemons.links(self.links(machine).path))
        return [links, self.agent_daemon(machine)] if self.cluster.replica_of(machine) is None else [links]

    def confirmation(self, machine: str) -> dict[str, Any]:
        """How to confirm that the control machine still reaches a machine whose links daemon changed its network."""
        links = self.links(machine)
        return {
            "command": links.command("serving.links.confirm", "links.json"),
            "release": links.name,
            "confirmed": CONFIRMED,
            "report": LINKS_REPORT,
            "within_seconds": self.cluster.thunderbolt.confirm_within_seconds,
        }

    def labels(self, machine: str) -> set[str]:
        """All daemons of ours that belong on a machine."""
        early = {daemon["label"] for daemon in self.daemons(machine)}
        return {*early, daemons.AGENT, *(daemons.GATEWAYS if self.is_door(machine) else [])}

    def agent_daemon(self, machine: str) -> Daemon:
        """A machine's agent."""
        replica = self.cluster.replica_of(machine)
        grace_seconds = 0 if replica is None else replica.grace_seconds
        release = self.agent(machine).path
        return _daemon(daemons.agent(release, self.cluster.account.name, grace_seconds=grace_seconds))

    def agents(self, machines: Iterable[str]) -> dict[str, Daemon]:
        """The agents of machines, by machine."""
        return {name: self.agent_daemon(name) for name in machines}

    def proof(self, replica: Replica) -> dict[str, Any]:
        """Where and how to ask whether a replica is ready with its release, and how long that may take."""
        first = replica.machines[0]
        return {
            "on": first,
            "command": self.agent(first).command("serving.agent.status", "agent.json"),
            "release": self.agent(first).name,
            "within_seconds": replica.ready_within_seconds,
        }

    def gateway_daemon(self, proven: Collection[str]) -> Daemon:
        """The gateway."""
        seconds = self.cluster.rolling.drain_seconds
        return _daemon(daemons.gateway(self.gateway(proven).path, self.cluster.account.name, drain_seconds=seconds))

    def gateway_switch(self, proven: Collection[str]) -> dict[str, Any]:
        """How the gateway is changed without a moment in which nobody answers."""
        release = self.gateway(proven)
        command = release.command("serving.gateway.status", "gateway.json")
        return {
            "labels": daemons.GATEWAYS,
            "plist": self.gateway_daemon(proven)["plist"],
            "command": command,
            "release": release.name,
            "within_seconds": GATEWAY_SECONDS,
            "drain_seconds": self.cluster.rolling.drain_seconds,
        }

    def gateway_release(self, proven: Collection[str]) -> dict[str, Any]:
        """The gateway's release, as what lays it wants it."""
        return self.gateway(proven).laid

    def gateway_answering(self, proven: Collection[str]) -> dict[str, Any]:
        """How to ask whether the gateway answers, and how long it may take to begin."""
        command = self.gateway(proven).command("serving.gateway.status", "gateway.json")
        return {"command": command, "within_seconds": GATEWAY_SECONDS}

    def links(self, machine: str) -> Release:
        """The release of `dev.cidermill.links` on one machine."""
        cables = _cabled(self.cluster, self.seen, machine)
        configuration = LinksConfiguration(
            machine=machine,
            cables=cables,
            report=LINKS_REPORT,
            filter_rules=filtering.rules(self.cluster, machine),
            wired_limit_mb=self.cluster.machine(machine).wired_limit_mb,
            state_directory=LINKS,
            confirm_within_seconds=self.cluster.thunderbolt.confirm_within_seconds,
        )
        return self._release("links", "node", {"links.json": _text(configuration)})

    def agent(self, machine: str) -> Release:
        """The release of `dev.cidermill.agent` on one machine."""
        replica = self.cluster.replica_of(machine)
        configuration = AgentConfiguration(
            cluster=self.cluster.name,
            machine=machine,
            address=self.cluster.machine(machine).address,
            port=self.cluster.ports.agent,
            token_file=TOKEN,
            token_fingerprint=self._fingerprint,
            state_directory=STATE,
            log_directory=LOGS,
            links_report=LINKS_REPORT,
            replica=self._replica(replica, machine) if replica else None,
        )
        return self._release("agent", "node", {"agent.json": _text(configuration)})

    def gateway(self, proven: Collection[str]) -> Release:
        """The release of `dev.cidermill.gateway`: it lists the proven replicas and no others."""
        theirs = external_secrets(self.cluster)
        litellm = json.dumps(litellm_configuration(self.cluster, proven), indent=2) + "\n"
        pair = () if self._tls is None else (TLS_CERTIFICATE, TLS_KEY)
        configuration = GatewayConfiguration(
            address=self.cluster.machine(self.cluster.gateway.machine).address,
            port=self.cluster.gateway.port,
            key_file=KEY,
            keys_file=KEYS,
            token_file=TOKEN,
            fingerprints=(self._fingerprint, *map(self._fingerprint_of, [*theirs.values(), *pair])),
            litellm="litellm.yaml",
            relay_port=self.cluster.ports.relay,
            door_directory=STATE,
            drain_seconds=self.cluster.rolling.drain_seconds,
            replicas=tuple(self._served(replica) for replica in self.cluster.replicas if replica.name in proven),
            external=tuple(map(_backend, self.cluster.gateway.external)),
            external_keys_file=EXTERNAL_KEYS if theirs else None,
            names=served_names(self.cluster, proven),
            body_bytes=self.cluster.gateway.body_mb * 2**20,
            certificate_file=CERTIFICATE if pair else None,
            certificate_key_file=CERTIFICATE_KEY if pair else None,
        )
        return self._release("gateway", "gateway", {"litellm.yaml": litellm, "gateway.json": _text(configuration)})

    def _keys(self) -> str:
        """The file of keys: the lab's own, which is the lab's by name and without limits, and all that are declared."""
        own = Key(owner=self.cluster.name, sha256=self.digests[GATEWAY_KEY])
        digests = {key: self.digests[key_secret(key.owner)] for key in self.cluster.gateway.keys}
        return written([own, *(key_of(key, sha, covered(self.cluster, key.names)) for key, sha in digests.items())])

    @property
    def _tls(self) -> Tls | None:
        return self.cluster.gateway.tls

    @property
    def _fingerprint(self) -> str:
        """The token's: it was drawn from 256 bits, so this cannot be searched for."""
        return self.digests[CLUSTER_TOKEN][:12]

    def _fingerprint_of(self, name: str) -> str:
        """That of a secret which somebody may have thought of: the token's digest goes into it, so it tells nothing."""
        return hashlib.sha256(f"{self.digests[CLUSTER_TOKEN]}{self.digests[name]}".encode()).hexdigest()[:12]

    def _replica(self, replica: Replica, machine: str) -> ReplicaConfiguration:
        placed = self.placed.get(replica.name)
        choice = placed.choice if isinstance(placed, Placed) else None
        return _replica(self.cluster, replica, self.manifests[replica.weights], machine, choice)

    def _served(self, replica: Replica) -> ServedReplica:
        """A replica as the gateway's relay is told of it."""
        first = replica.machines[0]
        return ServedReplica(
            name=replica.name,
            weights=replica.weights,
            url=f"http://{self.cluster.machine(first).address}:{self.cluster.ports.agent}",
            slots=replica.slots,
            context_tokens=replica.context_tokens,
            wait_seconds=replica.wait_seconds,
            body_bytes=body_limit(self._replica(replica, first)),
            kept_prompts=replica.slots,  # as `serving.rank.loop.arguments` has it
        )

    def _release(self, kind: str, environment: str, files: Mapping[str, str]) -> Release:
        environment, software = self.packages[environment].name, self.packages["software"].name
        links = {"environment": f"{ENVIRONMENTS}/{environment}", "software": f"{SOFTWARE}/{software}"}
        return Release(kind, links, files)

    def is_door(self, machine: str) -> bool:
        """Whether a machine carries the gateway."""
        return machine == self.cluster.gateway.machine


def _backend(declared: External) -> ExternalBackend:
    """A backend that is none of ours, as the gateway's relay is told of it."""
    return ExternalBackend(
        name=declared.name,
        url=declared.url,
        serves=declared.serves,
        instead_of=declared.instead_of,
    )


def _daemon(plist: dict[str, Any]) -> Daemon:
    return {"label": plist["Label"], "plist": plist}


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


def _replica(
    cluster: Cluster, replica: Replica, manifest: Manifest, machine: str, choice: Choice | None
) -> ReplicaConfiguration:
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
        queue=replica.queue,
        wait_seconds=replica.wait_seconds,
        layers=None if choice is None else choice.layers,
        planned_bytes=None if choice is None else tuple(need.weights for need in choice.needs),
        wired_limit=replica.wired_limit,
        restarts=replica.restarts,
        grace_seconds=replica.grace_seconds,
        rank_port=cluster.ports.rank,
    )


def weights_directory(name: str, manifest: Manifest) -> str:
    """Where weights lie."""
    return f"{WEIGHTS}/{called(name, manifest)}"


def _text(configuration: Declared) -> str:
    return configuration.model_dump_json(indent=2) + "\n"
