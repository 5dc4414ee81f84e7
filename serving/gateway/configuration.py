"""LiteLLM's configuration from a Cluster. Checked with litellm 1.109.1.

Each name that proven replicas serve becomes one deployment, and its address is our own relay (`serving.gateway.relay`),
which knows the replicas. So LiteLLM does nothing about faults: no retries, no failover, no cooldowns (one bad prompt
would close a whole name), and no time limit below what the relay may hold.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from serving.cluster import Cluster
from serving.declared import Declared
from serving.gateway.names import ServedName, deployments, served_names

SWITCHES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise three look-ups on the internet at every start
    "LITELLM_TELEMETRY_DISABLED": "True",
    "LITELLM_LOG": "WARNING",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
    "DISABLE_ADMIN_UI": "True",
    # All its connections lead to the relay, which holds whatever has to wait; 0 is no bound.
    "AIOHTTP_CONNECTOR_LIMIT": "0",
    "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "0",
}
"""LiteLLM's switches: it reads them from the environment while it is imported."""


class ServedReplica(Declared):
    """A proven replica, as the relay is told of it."""

    name: str
    weights: str
    """The name that clients ask for."""
    url: str
    """Of its endpoint, without a path."""
    slots: int
    context_tokens: int
    wait_seconds: int
    """How long a request may be held for it."""
    body_bytes: int
    """The most that it takes of a request's body."""
    kept_prompts: int = 0
    """How many requests its ranks keep read after they were answered; 0 when nobody knows."""


class ExternalBackend(Declared):
    """A backend that is none of ours, as the relay is told of it."""

    name: str
    url: str
    """With the path that OpenAI's own paths follow, without a slash at its end."""
    serves: str
    """What it calls what it serves."""
    instead_of: tuple[str, ...] = ()
    """The weights that it answers for when no replica can; empty when clients ask for it by name."""


class GatewayConfiguration(Declared):
    """What `dev.cidermill.gateway` is told."""

    address: str
    port: int
    key_file: str
    """The lab's own key, by which the gateway is asked whether it answers."""
    keys_file: str
    """Of all keys, as `serving.gateway.keys` writes it. It changes while the gateway runs."""
    token_file: str
    """The cluster token, which endpoints ask for."""
    fingerprints: tuple[str, ...]
    """Of the token. Not read: another token makes another release, so that the gateway starts again."""
    litellm: str
    """LiteLLM's own configuration file, beside this one."""
    relay_port: int
    """On loopback; another one while it is another gateway's."""
    door_directory: str
    """Where one gateway hands its listening socket to the next; writable by the service account."""
    drain_seconds: int = 60
    """How long answers under way have to come to their end when it is told to end."""
    replicas: tuple[ServedReplica, ...]
    external: tuple[ExternalBackend, ...] = ()
    external_keys_file: str | None = None
    """JSON: the keys of those that ask for one, by their names."""
    names: tuple[ServedName, ...] = ()
    """What clients may ask for, and what they are told of it."""
    body_bytes: int = 32 * 2**20
    """The most that a request's body may have."""
    certificate_file: str | None = None
    """Of TLS; without one the gateway speaks plain HTTP."""
    certificate_key_file: str | None = None


def litellm_configuration(cluster: Cluster, proven: Collection[str]) -> dict[str, Any]:
    """LiteLLM's configuration: one deployment per name that is served; secrets only by name."""
    return {
        "model_list": deployments(served_names(cluster, proven)),
        "litellm_settings": {
            "drop_params": True,
            "sse_keepalive_ping_interval_seconds": 10,
            "turn_off_message_logging": True,
            "callbacks": ["serving.gateway.hooks.naming"],
        },
        "router_settings": {
            "num_retries": 0,
            "disable_cooldowns": True,
        },
        "general_settings": {
            "master_key": "os.environ/CIDERMILL_MASTER_KEY",
            "custom_auth": "serving.gateway.hooks.authenticate",
            "cancel_on_disconnect": True,
            "disable_env_credential_login": True,
            # Only what the door lets through arrives there; see `serving.gateway.aside`.
            "forward_client_headers_to_llm_api": True,
        },
    }
