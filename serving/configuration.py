"""What each daemon on a machine is told: the part of the declaration that concerns it, and nothing that doesn't.

Written by the control machine as JSON into a release, read by the daemon at its start. Because it holds only its own
replica's part, a change to one replica leaves the releases of all others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from serving.declared import Declared, Golden


class Member(Declared):
    """One machine of a replica; its place in the list is its rank."""

    machine: str
    address: str
    """Management address, where its agent listens."""


class Cabled(Declared):
    """One of this machine's cables: who is at the other end, and the /30 on it."""

    peer: str
    domain_uuid: str
    """Thunderbolt domain of this machine's own port; which interface that is, is looked up at run time."""
    address: str
    peer_address: str


class LinksConfiguration(Declared):
    """What `dev.cidermill.links` owns on one machine."""

    machine: str
    cables: tuple[Cabled, ...]
    report: str
    """Path of the JSON report it writes: see `serving.links.report.CableReport`."""
    filter_rules: str | None = None
    """Rules of our pf anchor as pfctl reads them; None leaves the packet filter alone."""
    wired_limit_mb: int | None = None
    """`iogpu.wired_limit_mb`; None leaves it alone."""
    state_directory: str
    """Root's own: what was there before, and which configuration was confirmed."""
    confirm_within_seconds: int
    """How long the control machine has to confirm over the management LAN, before what was changed goes back."""


class File(Declared):
    """Size in bytes and SHA-256 of one file of the weights."""

    size: int
    sha256: str


class Manifest(Declared):
    """What a weights directory must hold, by relative path; `digest` names the whole."""

    files: Mapping[str, File]
    digest: str


class ReplicaConfiguration(Declared):
    """A replica as seen from one of its machines."""

    name: str
    members: tuple[Member, ...]
    rank: int
    transport: Literal["jaccl", "jaccl-ring", "ring"] | None
    sharding: Literal["tensor", "pipeline"] | None
    ring: tuple[tuple[str, ...], ...] = ()
    """`ip:port` that each rank binds, as MLX_HOSTFILE has it; empty unless transport is ring."""
    coordinator: str | None = None
    """`ip:port` of rank 0 for JACCL's rendezvous; None unless transport is jaccl or jaccl-ring."""
    weights: str
    weights_directory: str
    manifest: Manifest
    golden: Golden
    context_tokens: int
    slots: int
    queue: int
    """Requests that may wait for a slot."""
    wait_seconds: int
    """How long a request may wait without being worked on: for a slot, or for a replica that forms again."""
    layers: tuple[int, ...] | None = None
    """Layers of each rank, in rank order; None leaves the split to mlx-lm. Only with sharding pipeline."""
    planned_bytes: tuple[int, ...] | None = None
    """Of weights that each rank will hold, in rank order, as placement has it; None where nobody worked it out."""
    wired_limit: Literal["recommended"] | None = "recommended"
    """`recommended`: mlx-lm's own; None: none is set."""
    restarts: int
    """How many times in a row the conductor may start the ranks again before a person is needed."""
    grace_seconds: int
    """Between SIGTERM and SIGKILL of a rank."""
    rank_port: int


class AgentConfiguration(Declared):
    """What `dev.cidermill.agent` is told on one machine."""

    cluster: str
    machine: str
    address: str
    port: int
    token_file: str
    token_fingerprint: str
    """Not read: another token makes another release, so that the agent starts again and reads it."""
    state_directory: str
    """Writable by the service account, survives restarts: rank status and hostfiles are written here."""
    log_directory: str
    links_report: str
    replica: ReplicaConfiguration | None
