"""LiteLLM's configuration from a Cluster. Checked with litellm 1.109.1.

Each replica that is proven becomes one deployment of the name its weights are called by. The settings are the ones
under which no request was lost in trials: weighted failover moves a failed attempt to another replica (plain retries
may choose the dead one again), cooldowns are off because one bad prompt would close a whole group, and hosted_vllm with
use_chat_completions_api is the prefix under which all of OpenAI's and Anthropic's APIs keep their text.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

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
}
"""LiteLLM's switches: it reads them from the environment while it is imported."""


class GatewayConfiguration(Declared):
    """What `dev.cidermill.gateway` is told."""

    address: str
    port: int
    key_file: str
    """The key that clients must show."""
    token_file: str
    """The cluster token, which endpoints ask for."""
    fingerprints: tuple[str, ...]
    """Of key and token. Not read: other secrets make another release, so that the gateway starts again."""
    litellm: str
    """LiteLLM's own configuration file, beside this one."""


def litellm_configuration(cluster: Cluster, proven: Collection[str]) -> dict[str, Any]:
    """LiteLLM's configuration: one deployment per proven replica; secrets only by name."""
    return {
        "model_list": [_deployment(cluster, replica) for replica in cluster.replicas if replica.name in proven],
        "litellm_settings": {
            "drop_params": True,
            "sse_keepalive_ping_interval_seconds": 10,
            "turn_off_message_logging": True,
        },
        "router_settings": {
            "routing_strategy": "simple-shuffle",
            "enable_weighted_failover": True,
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


def _deployment(cluster: Cluster, replica: Replica) -> dict[str, Any]:
    address = cluster.machine(replica.machines[0]).address
    answer_tokens = min(replica.context_tokens // 2, 8192)
    return {
        "model_name": cluster.weights_of(replica).name,
        "litellm_params": {
            "model": f"hosted_vllm/{cluster.weights_of(replica).name}",
            "use_chat_completions_api": True,
            "api_base": f"http://{address}:{cluster.ports.agent}/v1",
            "api_key": "os.environ/CIDERMILL_CLUSTER_TOKEN",
            # For clients that name no limit: mlx-lm's own 512 cuts agents off in mid-sentence.
            "max_tokens": answer_tokens,
            "timeout": 900,
            "stream_timeout": 600,
        },
        "model_info": {
            "id": replica.name,
            "max_input_tokens": replica.context_tokens,
            "max_output_tokens": answer_tokens,
        },
    }
