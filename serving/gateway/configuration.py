"""LiteLLM's configuration from a Cluster. Checked with litellm 1.109.1.

Each name that proven replicas serve becomes one deployment, and its address is our own relay (`serving.gateway.relay`),
which knows the replicas. So LiteLLM does nothing about faults: no retries, no failover, no cooldowns (one bad prompt
would close a whole name), and no time limit below what the relay may hold. hosted_vllm with use_chat_completions_api is
the prefix under which all of OpenAI's and Anthropic's APIs keep their text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from serving.cluster import Cluster
from serving.declared import Declared, Replica

PATHS = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/models",
        "/v1/responses",
        "/health/liveliness",
        "/health/readiness",
    }
)
"""The only paths that reach LiteLLM; 38 of its own routes answer without a key."""

OPEN_PATHS = frozenset({"/health/liveliness", "/health/readiness"})
"""Those that need no key: they tell whether the gateway runs, and nothing of what it serves."""

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


_WORK_SECONDS: Final = 86_400
"""For LiteLLM's time limits, beyond waiting. The relay sees who fell silent; an answer may take as long as it takes."""


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
    """On loopback."""
    replicas: tuple[ServedReplica, ...]
    external: tuple[ExternalBackend, ...] = ()
    external_keys_file: str | None = None
    """JSON: the keys of those that ask for one, by their names."""


def litellm_configuration(cluster: Cluster, proven: Collection[str]) -> dict[str, Any]:
    """LiteLLM's configuration: one deployment per name that proven replicas serve; secrets only by name."""
    serving = [replica for replica in cluster.replicas if replica.name in proven]
    names = dict.fromkeys(replica.weights for replica in serving)
    others = dict.fromkeys(
        name for backend in cluster.gateway.external for name in (backend.instead_of or (backend.name,))
    )
    return {
        "model_list": [
            *(_deployment(cluster, name, [each for each in serving if each.weights == name]) for name in names),
            *(_external(cluster, name) for name in others if name not in names),
        ],
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
            "custom_auth_run_common_checks": True,
            "cancel_on_disconnect": True,
            "disable_env_credential_login": True,
        },
    }


def _deployment(cluster: Cluster, name: str, replicas: Sequence[Replica]) -> dict[str, Any]:
    # Whichever replica answers, it must hold what was promised.
    context_tokens = min(replica.context_tokens for replica in replicas)
    return _leading_to_the_relay(cluster, name, context_tokens, max(replica.wait_seconds for replica in replicas))


def _external(cluster: Cluster, name: str) -> dict[str, Any]:
    """A name that no proven replica serves, and a backend that is none of ours may answer."""
    backends = [each for each in cluster.gateway.external if name in (each.instead_of or (each.name,))]
    return _leading_to_the_relay(cluster, name, min(each.context_tokens for each in backends), 0)


def _leading_to_the_relay(cluster: Cluster, name: str, context_tokens: int, wait_seconds: int) -> dict[str, Any]:
    answer_tokens = min(context_tokens // 2, 8192)
    seconds = wait_seconds + _WORK_SECONDS
    return {
        "model_name": name,
        "litellm_params": {
            "model": f"hosted_vllm/{name}",
            "use_chat_completions_api": True,
            "api_base": f"http://127.0.0.1:{cluster.ports.relay}/v1",
            "api_key": "os.environ/CIDERMILL_CLUSTER_TOKEN",
            # For clients that name no limit: mlx-lm's own 512 cuts agents off in mid-sentence.
            "max_tokens": answer_tokens,
            "timeout": seconds,
            "stream_timeout": seconds,
            "max_retries": 0,
        },
        "model_info": {
            "id": name,
            "max_input_tokens": context_tokens,
            "max_output_tokens": answer_tokens,
        },
    }
